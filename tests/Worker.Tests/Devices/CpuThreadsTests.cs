using TensorParallel.Worker.Devices;
using Xunit;

namespace TensorParallel.Worker.Tests.Devices;

public sealed class CpuThreadsTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(9)]
    public void Every_part_runs_once_in_every_job(int threads)
    {
        using var pool = new CpuThreads(threads);
        var counts = new int[100];
        for (var job = 1; job <= 3000; job++)
        {
            var parts = job % counts.Length;
            Array.Clear(counts);
            pool.Run(parts, new Counting(counts, threads));
            Assert.Equal(parts, counts.Sum());
            Assert.All(counts.Take(parts), c => Assert.Equal(1, c));
        }
    }

    [Fact]
    public void Jobs_run_after_the_threads_have_gone_to_sleep()
    {
        using var pool = new CpuThreads(3);
        var counts = new int[50];
        for (var job = 0; job < 20; job++)
        {
            // Long enough for a thread to stop spinning; whether it did changes nothing that is asserted.
            var until = System.Diagnostics.Stopwatch.GetTimestamp() + (System.Diagnostics.Stopwatch.Frequency / 500);
            while (System.Diagnostics.Stopwatch.GetTimestamp() < until)
            {
                Thread.Yield();
            }

            Array.Clear(counts);
            pool.Run(counts.Length, new Counting(counts, 3));
            Assert.All(counts, c => Assert.Equal(1, c));
        }
    }

    [Fact]
    public void All_threads_can_be_at_work_at_once()
    {
        using var pool = new CpuThreads(3);
        using var barrier = new Barrier(3);
        pool.Run(3, new Meeting(barrier));
        Assert.Equal(1, barrier.CurrentPhaseNumber);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void An_exception_reaches_the_caller_and_the_pool_goes_on(int threads)
    {
        using var pool = new CpuThreads(threads);
        for (var bad = 0; bad < 20; bad++)
        {
            var exception = Assert.Throws<InvalidOperationException>(() => pool.Run(20, new Failing(bad)));
            Assert.Equal($"part {bad}", exception.Message);
            var counts = new int[20];
            pool.Run(20, new Counting(counts, threads));
            Assert.All(counts, c => Assert.Equal(1, c));
        }
    }

    [Fact]
    public void A_job_allocates_nothing()
    {
        using var pool = new CpuThreads(2);
        var counts = new int[8];
        pool.Run(8, new Counting(counts, 2));
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var job = 0; job < 100; job++)
        {
            pool.Run(8, new Counting(counts, 2));
        }

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    [Fact]
    public void A_disposed_pool_refuses_work()
    {
        var pool = new CpuThreads(2);
        pool.Dispose();
        pool.Dispose();
        Assert.Throws<ObjectDisposedException>(() => pool.Run(2, new Failing(0)));
        Assert.Throws<ArgumentOutOfRangeException>(() => new CpuThreads(0));
    }

    private readonly struct Counting(int[] counts, int threads) : ICpuWork
    {
        public void Run(int part, int thread)
        {
            // No Assert here: it would allocate.
            if ((uint)thread >= (uint)threads)
            {
                throw new InvalidOperationException($"Thread {thread} of {threads}.");
            }

            Interlocked.Increment(ref counts[part]);
        }
    }

    private readonly struct Meeting(Barrier barrier) : ICpuWork
    {
        public void Run(int part, int thread) => Assert.True(barrier.SignalAndWait(TimeSpan.FromSeconds(30)));
    }

    private readonly struct Failing(int bad) : ICpuWork
    {
        public void Run(int part, int thread)
        {
            if (part == bad)
            {
                throw new InvalidOperationException($"part {part}");
            }
        }
    }
}
