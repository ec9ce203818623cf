using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Planning;

/// <summary>
/// Sentences that explain what looks odd in a tensor-parallel plan: uneven cuts, key/value heads on several ranks.
/// </summary>
internal static class TensorParallelNotes
{
    /// <summary>One sentence a fact; blocks that share it share the sentence.</summary>
    public static IReadOnlyList<string> Of(ModelSpec spec, ResolvedTpPlan plan, int ranks)
    {
        var blocks = spec.Blocks.SelectMany(block => OfBlock(plan, block, ranks));
        var vocabulary = plan[spec.Embedding].WeightDim == 0 || plan[spec.OutputHead].WeightDim == 0
            ? OfWidth("tokens of the vocabulary", spec.VocabularySize, ranks)
            : [];
        return [.. OfTiedHead(spec, plan).Concat(blocks).Concat(vocabulary).Distinct()];
    }

    private static IEnumerable<string> OfTiedHead(ModelSpec spec, ResolvedTpPlan plan)
    {
        if (spec.TieWordEmbeddings && plan[spec.OutputHead].WeightDim == 0)
        {
            yield return
                $"{spec.OutputHead.Name} is the table of {spec.Embedding.Name}: one copy, cut by vocabulary, serves " +
                    "both ends.";
        }
    }

    private static IEnumerable<string> OfBlock(ResolvedTpPlan plan, BlockSpec block, int ranks)
    {
        if (plan.CutsAttention(block))
        {
            var attention = block.Attention;
            var heads = new HeadPartition(
                attention.NumAttentionHeads, attention.NumKeyValueHeads, attention.HeadDim, ranks);
            foreach (var note in OfHeads(heads, attention, ranks))
            {
                yield return note;
            }
        }

        if (plan.CutsMlp(block))
        {
            foreach (var note in OfWidth("MLP columns", block.Mlp.Gate.OutFeatures / block.Mlp.Gate.PackedParts, ranks))
            {
                yield return note;
            }
        }
    }

    private static IEnumerable<string> OfHeads(HeadPartition heads, AttentionSpec attention, int ranks)
    {
        if (heads.IsUneven)
        {
            var counts = Enumerable.Range(0, ranks).Select(rank => heads.QueryHeads(rank).Length);
            yield return $"{attention.NumAttentionHeads} query heads do not divide by {ranks} ranks: " +
                $"{string.Join(", ", counts)}; a head is never cut.";
        }

        var held = Enumerable.Range(0, ranks).Sum(rank => heads.KeyValueHeads(rank).Length);
        if (held > attention.NumKeyValueHeads)
        {
            var lists = Enumerable.Range(0, ranks).Select(rank => Text(heads.KeyValueHeads(rank)));
            yield return "Key/value heads stand on every rank whose query heads read them: " +
                $"{string.Join("; ", lists)} ({held} held for {attention.NumKeyValueHeads}).";
        }
    }

    private static IEnumerable<string> OfWidth(string what, int size, int ranks)
    {
        var partition = UnitPartition.OfWidth(size, ranks);
        var lengths = Enumerable.Range(0, ranks).Select(rank => partition[rank].Length).ToList();
        if (lengths.Distinct().Count() > 1)
        {
            yield return $"{size} {what} are cut in units of {partition.Unit}: {string.Join(", ", lengths)}.";
        }
    }

    private static string Text(IndexRange heads) =>
        heads.Length == 1 ? $"{heads.Start}" : $"{heads.Start}–{heads.End - 1}";
}
