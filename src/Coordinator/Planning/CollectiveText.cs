using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Planning;

/// <summary>What the ranks say to each other in one step, as sentences.</summary>
internal static class CollectiveText
{
    /// <summary>
    /// One line for the layers (more where they differ), one for the ends; a lone rank has nobody to talk to.
    /// </summary>
    public static IReadOnlyList<string> Of(ModelSpec spec, ExecutionPlan plan)
    {
        if (plan.WorldSize == 1 || plan.Mode != PlanMode.TensorParallel)
        {
            return plan.Mode == PlanMode.DeviceMap && plan.WorldSize > 1
                ? ["Between stages: the residual rows are sent from rank to rank."]
                : [];
        }

        var styles = plan.Ranks[0].Tensors.ToDictionary(
            slice => slice.Name, slice => TpStyleCatalog.Find(slice.Style)!);
        var layers = spec.Blocks
            .Select((block, layer) => (Text: OfBlock(block, styles), Layer: layer))
            .GroupBy(block => block.Text, block => block.Layer)
            .Select(group => $"Collectives in layers.{LayerList.Text([.. group], spec.Blocks.Count)}: {group.Key}.");
        return [.. layers, $"Collectives at the ends: {OfEnds(spec, styles)}."];
    }

    private static string OfBlock(BlockSpec block, Dictionary<string, TpStyle> styles) => Join(block.Linears.Select(
        linear => (linear.Name[(block.Name.Length + 1)..], styles[linear.WeightName].Collective)));

    private static string OfEnds(ModelSpec spec, Dictionary<string, TpStyle> styles)
    {
        var embedding = styles[spec.Embedding.WeightName];
        var head = styles[spec.TieWordEmbeddings ? spec.Embedding.WeightName : spec.OutputHead.WeightName];
        var headCollective = head.WeightDim switch
        {
            0 => CollectiveKind.AllGather,
            1 => CollectiveKind.AllReduce,
            _ => CollectiveKind.None,
        };
        return Join([(spec.Embedding.Name, embedding.Collective), (spec.OutputHead.Name, headCollective)]);
    }

    private static string Join(IEnumerable<(string Name, CollectiveKind Kind)> modules)
    {
        var texts = modules
            .Where(module => module.Kind != CollectiveKind.None)
            .GroupBy(module => module.Kind, module => module.Name)
            .Select(group => $"{group.Count()} {Word(group.Key)} ({string.Join(", ", group)})")
            .ToList();
        return texts.Count == 0 ? "none" : string.Join(", ", texts);
    }

    private static string Word(CollectiveKind kind) => kind == CollectiveKind.AllReduce ? "all-reduce" : "all-gather";
}
