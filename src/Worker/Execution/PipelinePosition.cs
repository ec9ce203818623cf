using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Worker.Execution;

/// <summary>
/// Where a rank stands in the sequence of ranks that rows pass through. Under tensor parallelism every rank is first
/// and last.
/// </summary>
/// <param name="IsIdle">The rank holds nothing and takes no part.</param>
/// <param name="Previous">Rank that sends hidden rows; null: this one looks up the tokens.</param>
/// <param name="Next">Rank that gets the hidden rows; null: this one has the head.</param>
/// <param name="First">Rank that looks up the tokens.</param>
/// <param name="Last">Rank that has the head.</param>
/// <param name="Reports">This rank's step results carry the tokens.</param>
internal sealed record PipelinePosition(bool IsIdle, int? Previous, int? Next, int First, int Last, bool Reports)
{
    /// <summary>
    /// Reads it off a plan. Example: 5 ranks, 2 layers: ranks 0 and 1 hold one each, 2 the head, 3 and 4 nothing: 0 →
    /// 1 → 2. Throws <see cref="PlanException"/> when layers do not follow one another along the ranks.
    /// </summary>
    public static PipelinePosition Of(ExecutionPlan plan, int rank)
    {
        if (plan.Mode == PlanMode.TensorParallel)
        {
            return new PipelinePosition(false, null, null, rank, rank, Reports: rank == 0);
        }

        RankPlan[] stages = [.. plan.Ranks.Where(HoldsAnything).OrderBy(Order).ThenBy(r => r.Rank)];
        Check(stages);
        var at = Array.FindIndex(stages, s => s.Rank == rank);
        return new PipelinePosition(
            at < 0,
            at > 0 ? stages[at - 1].Rank : null,
            at >= 0 && at < stages.Length - 1 ? stages[at + 1].Rank : null,
            stages[0].Rank,
            stages[^1].Rank,
            Reports: rank == stages[^1].Rank);
    }

    private static bool HoldsAnything(RankPlan rank) =>
        rank.HasEmbedding || rank.HasOutputHead || rank.Layers.Length > 0;

    private static int Order(RankPlan rank) =>
        rank.HasEmbedding ? -1 : rank.Layers.Length > 0 ? rank.Layers.Start : int.MaxValue;

    private static void Check(RankPlan[] stages)
    {
        var next = 0;
        foreach (var stage in stages.Where(s => s.Layers.Length > 0))
        {
            next = stage.Layers.Start == next ? stage.Layers.End : throw Broken();
        }

        var embeddings = stages.Count(s => s.HasEmbedding);
        var heads = stages.Count(s => s.HasOutputHead);
        if (embeddings != 1 || heads != 1 || !stages[0].HasEmbedding || !stages[^1].HasOutputHead)
        {
            throw Broken();
        }

        PlanException Broken() => new(
            "The device map is not one chain from the embedding through all layers to the output head: give each " +
            "rank consecutive layers, the embedding to the rank of the first and the head to the rank of the last.");
    }
}
