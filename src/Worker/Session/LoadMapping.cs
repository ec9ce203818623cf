using TensorParallel.Protocol.Parallel;
using TensorParallel.Protocol.Wire;
using TensorParallel.Protocol.Wire.Workers;

namespace TensorParallel.Worker.Session;

/// <summary>Reads the load command.</summary>
internal static class LoadMapping
{
    /// <summary>The command as a record; throws <see cref="WireException"/> when it does not fit this rank.</summary>
    public static RankLoad ToRankLoad(this Load message, int rank)
    {
        var plan = PlanJson.Deserialize(message.PlanJson);
        if (plan.WorldSize != plan.Ranks.Count || rank >= plan.WorldSize || plan.Ranks[rank].Rank != rank)
        {
            throw new WireException(
                $"The plan has {plan.Ranks.Count} ranks of {plan.WorldSize}; rank {rank} is not one of them.");
        }

        if (message.Threads < 1 || message.CollectiveTimeoutMs < 1)
        {
            throw new WireException(
                $"The load command asks for {message.Threads} threads and a collective timeout of "
                + $"{message.CollectiveTimeoutMs} ms; both must be at least 1.");
        }

        return new RankLoad(rank, message.ModelFolder, plan, message.Collective,
            TimeSpan.FromMilliseconds(message.CollectiveTimeoutMs), message.Threads)
        {
            LoadThreads = Math.Max(1, message.LoadThreads),
            Shards = message.HasShardFolder ? message.ShardFolder : null,
            RandomWeights = message.RandomWeights,
            TimeOperations = message.TimeOperations,
            Evictable = message.Evictable,
        };
    }
}
