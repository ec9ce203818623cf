using TensorParallel.Coordinator.Sharing;
using TensorParallel.Coordinator.Workers;

namespace TensorParallel.Coordinator.Tests.Sharing;

/// <summary>A model that moves at once, or fails to, and writes down what it did.</summary>
internal sealed class FakeMoves(string name, List<string> log) : IModelMoves
{
    /// <summary>What the next move throws; null: it works.</summary>
    public Exception? Failure { get; set; }

    public Task<MoveSummary> EvictAsync() => MoveAsync("out");

    public Task<MoveSummary> RestoreAsync() => MoveAsync("in");

    private async Task<MoveSummary> MoveAsync(string what)
    {
        await Task.Yield();
        lock (log)
        {
            log.Add($"{name} {what}");
        }

        return Failure is { } failure ? throw failure : new MoveSummary(10, 5, 0, TimeSpan.FromMilliseconds(1));
    }
}
