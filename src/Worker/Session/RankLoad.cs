using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Worker.Session;

/// <summary>What the coordinator told a rank to load.</summary>
/// <param name="Rank">This rank.</param>
/// <param name="ModelFolder">Folder of the checkpoint, or a <c>config.json</c>.</param>
/// <param name="Plan">The plan of all ranks.</param>
/// <param name="Collective">Name of the collective backend.</param>
/// <param name="CollectiveTimeout">Longest wait on a peer.</param>
/// <param name="Threads">Compute threads of this rank, at least 1.</param>
internal sealed record RankLoad(
    int Rank, string ModelFolder, ExecutionPlan Plan, string Collective, TimeSpan CollectiveTimeout, int Threads)
{
    /// <summary>Threads that read weights, at least 1.</summary>
    public int LoadThreads { get; init; } = Loading.WeightLoader.DefaultThreads;

    /// <summary>Folder of the shard set that is read; null: the checkpoint's own files.</summary>
    public string? Shards { get; init; }

    /// <summary>Tells the user of something that makes this rank slower than it could be; a sentence.</summary>
    public Action<string> Warn { get; init; } = _ => { };

    /// <summary>Takes down what the start is spent on.</summary>
    public StartTimeline Timeline { get; init; } = new();

    /// <summary>Make the weights instead of reading them; the model folder may then be a bare <c>config.json</c>.</summary>
    public bool RandomWeights { get; init; }

    /// <summary>Weights and KV cache may be evicted.</summary>
    public bool Evictable { get; init; }

    /// <summary>Time every operation.</summary>
    public bool TimeOperations { get; init; }
}
