using TensorParallel.Worker.Session;
using Xunit;

namespace TensorParallel.Worker.Tests.Session;

public sealed class ComputeThreadTests
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(20);

    [Fact]
    public async Task Work_runs_in_order_on_one_thread()
    {
        using var compute = new ComputeThread(4);
        var seen = new List<(int Item, string? Thread)>();
        for (var i = 0; i < 100; i++)
        {
            var item = i;
            compute.Post(() => seen.Add((item, Thread.CurrentThread.Name)));
        }

        compute.Complete();
        compute.Post(() => seen.Add((-1, null)));
        await compute.Ended.WaitAsync(s_patience);

        Assert.Equal(Enumerable.Range(0, 100).Select(item => (item, (string?)"compute 4")), seen);
    }

    [Fact]
    public async Task The_first_exception_ends_it()
    {
        using var compute = new ComputeThread(0);
        var ran = false;
        compute.Post(() => throw new InvalidDataException("bad"));
        compute.Post(() => ran = true);

        var exception = await Assert.ThrowsAsync<InvalidDataException>(() => compute.Ended.WaitAsync(s_patience));

        Assert.Equal("bad", exception.Message);
        compute.Post(() => ran = true);
        Assert.False(ran);
    }
}
