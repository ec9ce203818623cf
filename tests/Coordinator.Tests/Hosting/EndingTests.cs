using TensorParallel.Coordinator.Hosting;
using Xunit;

namespace TensorParallel.Coordinator.Tests.Hosting;

public sealed class EndingTests
{
    [Fact]
    public async Task Several_wait_for_the_same_end_and_it_happens_once()
    {
        var (gate, runs) = (new TaskCompletionSource(), 0);
        var ending = new Ending(() =>
        {
            runs++;
            return gate.Task;
        });

        var (first, second) = (ending.RunAsync(), ending.RunAsync());
        Assert.False(first.IsCompleted);
        gate.SetResult();
        await first;
        await second;
        await ending.RunAsync();

        Assert.Equal(1, runs);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_end_that_failed_is_told_to_who_waited_and_tried_again_for_the_next(bool atOnce)
    {
        var failures = new Queue<Exception>([new IOException("first"), new OperationCanceledException("second")]);
        var ending = new Ending(() => !failures.TryDequeue(out var failure) ? Task.CompletedTask
            : atOnce ? throw failure
            : Task.FromException(failure));

        Assert.Equal("first", (await Assert.ThrowsAsync<IOException>(ending.RunAsync)).Message);
        Assert.Equal("second", (await Assert.ThrowsAsync<OperationCanceledException>(ending.RunAsync)).Message);
        await ending.RunAsync();
        await ending.RunAsync();
    }
}
