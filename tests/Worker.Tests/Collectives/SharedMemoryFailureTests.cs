using System.Diagnostics;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Collectives;
using TensorParallel.Worker.Collectives.SharedMemory;
using Xunit;

namespace TensorParallel.Worker.Tests.Collectives;

[System.Runtime.Versioning.SupportedOSPlatform("linux")]
public sealed class SharedMemoryFailureTests
{
    private static readonly TimeSpan s_short = TimeSpan.FromSeconds(0.25);

    [Fact]
    public void A_peer_that_does_not_come_is_named_with_operation_call_and_seconds()
    {
        var errors = RunPair(s_short, (collective, untilAPeerFails) =>
        {
            if (collective.Rank == 0)
            {
                collective.Barrier();
                collective.Barrier();
            }
            else
            {
                collective.Barrier();
                untilAPeerFails();
            }
        });
        Assert.Equal(
            "Rank 0 waited in Barrier (call 3) for rank 1 for 0.25 seconds, and it did not come: "
            + "it is stuck, stopped, or not making the same calls.",
            errors[0]?.Message);
        Assert.Null(errors[1]);
    }

    [Fact]
    public void Receive_without_a_sender_and_send_without_a_receiver_time_out()
    {
        using var device = new HostDevice();
        var small = device.Tensor(DType.F32, 1, 4);
        var large = device.Tensor(DType.F32, 1, 100_000);
        var errors = RunPair(s_short, (collective, untilAPeerFails) =>
        {
            if (collective.Rank == 1)
            {
                collective.Receive(small, 0);
            }
            else
            {
                untilAPeerFails();
            }
        });
        Assert.StartsWith("Rank 1 waited in Receive (call 2) for rank 0 for 0.25 seconds", errors[1]?.Message);
        errors = RunPair(s_short, (collective, untilAPeerFails) =>
        {
            if (collective.Rank == 0)
            {
                collective.Send(small, 1);
                collective.Send(large, 1);
            }
            else
            {
                untilAPeerFails();
            }
        });
        Assert.StartsWith("Rank 0 waited in Send (call 3) for rank 1 for 0.25 seconds", errors[0]?.Message);
    }

    [Fact]
    public void A_peer_that_leaves_fails_the_others_at_once()
    {
        var start = Stopwatch.GetTimestamp();
        var errors = RunGroup(3, RankThreads.Timeout, (collective, _) =>
        {
            if (collective.Rank != 2)
            {
                collective.Barrier();
            }
        });
        Assert.Matches(
            "^Rank 0 waited in Barrier \\(call 2\\) for rank [12], (which has left|but rank 1 has failed).*$",
            errors[0]?.Message);
        Assert.Matches(
            "^Rank 1 waited in Barrier \\(call 2\\) for rank [02], (which has left|but rank 0 has failed).*$",
            errors[1]?.Message);
        Assert.Null(errors[2]);
        Assert.True(Stopwatch.GetElapsedTime(start) < RankThreads.Timeout / 2);
    }

    [Fact]
    public void A_peer_that_has_finished_does_not_disturb_those_that_have_not()
    {
        using var device = new HostDevice();
        var x = device.Tensor(DType.F32, 1, 4);
        var y = device.Tensor(DType.F32, 1, 4);
        var errors = RunGroup(3, RankThreads.Timeout, (collective, _) =>
        {
            collective.Barrier();
            if (collective.Rank == 1)
            {
                Thread.Yield();
                collective.Send(x, 2);
            }
            else if (collective.Rank == 2)
            {
                collective.Receive(y, 1);
            }
        });
        Assert.All(errors, Assert.Null);
    }

    [Fact]
    public void Ranks_that_make_different_calls_are_told_so()
    {
        using var device = new HostDevice();
        var x = device.Tensor(DType.F32, 1, 4);
        var errors = RunPair(RankThreads.Timeout, (collective, _) =>
        {
            if (collective.Rank == 0)
            {
                collective.AllReduceSum(x);
            }
            else
            {
                collective.Broadcast(x, 0);
            }
        });
        Assert.Contains(errors, e => e?.Message == "Rank 0 is in AllReduceSum (call 2) while rank 1 is in Broadcast, "
            + "or with another shape: all ranks must make the same calls in the same order.");
    }

    [Fact]
    public void A_message_of_another_length_is_an_error_on_the_receiver()
    {
        using var device = new HostDevice();
        var errors = RunPair(RankThreads.Timeout, (collective, _) =>
        {
            var x = device.Tensor(DType.F32, 1, 4 + collective.Rank);
            if (collective.Rank == 0)
            {
                collective.Send(x, 1);
            }
            else
            {
                collective.Receive(x, 0);
            }
        });
        Assert.Equal(
            "Receive (call 2) expects 20 bytes from rank 0, which sent 16: both ends must name the same shape.",
            errors[1]?.Message);
    }

    [Fact]
    public void A_rank_that_never_joins_fails_the_join_and_leaves_no_file()
    {
        using var device = new HostDevice();
        using var backend = new SharedMemoryBackend();
        var blob = backend.CreateBootstrap(2, 64);
        var path = SharedMemorySegment.PathOf(SharedMemoryBootstrap.Decode(blob, 0, 2));
        Assert.True(File.Exists(path));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path));
        var error = Assert.Throws<CollectiveException>(() => backend.Join(blob, 0, 2, device, s_short));
        Assert.StartsWith("Rank 0 waited in Join (call 1) for rank 1 for 0.25 seconds", error.Message);
        Assert.False(File.Exists(path));
        error = Assert.Throws<CollectiveException>(() => backend.Join(blob, 1, 2, device, s_short));
        Assert.StartsWith("Rank 1 cannot open the shared memory of rank 0 at " + path, error.Message);
    }

    [Fact]
    public void A_backend_disposed_before_the_join_leaves_no_file()
    {
        var backend = new SharedMemoryBackend();
        var path = SharedMemorySegment.PathOf(SharedMemoryBootstrap.Decode(backend.CreateBootstrap(4, 64), 0, 4));
        Assert.True(File.Exists(path));
        backend.Dispose();
        Assert.False(File.Exists(path));
    }

    [Fact]
    public void A_segment_whose_maker_is_gone_is_deleted_by_the_next_one()
    {
        var path =
            Path.Combine(SharedMemorySegment.Folder, SharedMemorySegment.FilePrefix + Guid.NewGuid().ToString("N"));
        File.WriteAllBytes(path, new byte[100]);
        SharedMemorySegment.DeleteAbandoned();
        Assert.True(File.Exists(path), "a file this young may belong to a group that is just starting");
        File.SetLastWriteTimeUtc(path, DateTime.UtcNow.AddMinutes(-2));
        SharedMemorySegment.DeleteAbandoned();
        Assert.False(File.Exists(path));
    }

    [Fact]
    public void A_segment_that_does_not_fit_is_one_error_with_the_bytes()
    {
        var layout = SharedMemoryLayout.For(8, long.MaxValue);
        Assert.Equal(8 * 2 << 20, layout.TotalBytes - layout.Slot(0, 0));
        Assert.True(layout.TotalBytes < 32 << 20, "a container has 64 MiB of shared memory unless told otherwise");
        var bytes = new DriveInfo(SharedMemorySegment.Folder).TotalSize + 1;
        var path = Path.Combine(SharedMemorySegment.Folder, Guid.NewGuid().ToString("N"));
        using var file =
            File.OpenHandle(path, FileMode.CreateNew, FileAccess.ReadWrite, options: FileOptions.DeleteOnClose);
        var error = Assert.Throws<CollectiveException>(() => SharedMemorySegment.Allocate(file, bytes));
        Assert.Matches(
            $"^Rank 0 cannot allocate {bytes} bytes of shared memory in /dev/shm \\(.+; [0-9]+ bytes are free "
            + "there\\): "
            + "make it larger, for a container with --shm-size\\.$",
            error.Message);
    }

    private static Exception?[] RunPair(TimeSpan timeout, Action<ICollective, Action> body) =>
        RunGroup(2, timeout, body);

    /// <summary>Runs a body on every rank; its second argument blocks until another rank has thrown.</summary>
    private static Exception?[] RunGroup(int size, TimeSpan timeout, Action<ICollective, Action> body)
    {
        using var device = new HostDevice();
        using var backend = new SharedMemoryBackend();
        var blob = backend.CreateBootstrap(size, 64);
        using var failed = new ManualResetEventSlim();
        return RankThreads.Each(size, rank =>
        {
            using var collective = backend.Join(blob, rank, size, device, timeout);
            try
            {
                body(collective, () => failed.Wait());
            }
            catch
            {
                failed.Set();
                throw;
            }
        });
    }
}
