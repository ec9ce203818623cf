using System.Globalization;
using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Planning;

/// <summary>
/// A tensor-parallel plan condensed for reading: modules that are cut alike in several layers share their rows.
/// </summary>
internal static class PlanRows
{
    /// <summary>Rows in load order; the ranks of a module follow each other.</summary>
    public static IReadOnlyList<PlanRow> Of(ModelSpec spec, ExecutionPlan plan)
    {
        var headDims = HeadDims(spec);
        var slices = plan.Ranks.Select(rank => rank.Tensors.ToDictionary(slice => slice.Name)).ToList();
        var kinds = plan.Ranks[0].Tensors
            .GroupBy(slice => ModuleOf(slice.Name))
            .Select(module => new ModuleCut(
                module.Key,
                module.First().Style,
                [.. slices.Select(rank => Cut(rank[module.First().Name], headDims.GetValueOrDefault(module.Key)))],
                [.. slices.Select(rank => module.Sum(slice => rank[slice.Name].Bytes))]))
            .GroupBy(module => (TpPlan.PatternOf(module.Module), module.Style, string.Join('|', module.Cuts)));
        return [.. kinds.SelectMany(kind => Rows(spec, [.. kind]))];
    }

    private static IEnumerable<PlanRow> Rows(ModelSpec spec, IReadOnlyList<ModuleCut> modules)
    {
        var first = modules[0];
        var name = Label(spec, modules);
        if (first.Cuts.Distinct().Count() == 1)
        {
            yield return new(name, first.Style, "all", first.Cuts[0], modules.Sum(module => module.Bytes[0]));
            yield break;
        }

        for (var rank = 0; rank < first.Cuts.Count; rank++)
        {
            var bytes = modules.Sum(module => module.Bytes[rank]);
            yield return new(name, first.Style, rank.ToString(CultureInfo.InvariantCulture), first.Cuts[rank], bytes);
        }
    }

    // layers.*.mlp.up_proj, or layers.{0, 2–5}.mlp.up_proj where the others are cut differently.
    private static string Label(ModelSpec spec, IReadOnlyList<ModuleCut> modules)
    {
        var pattern = TpPlan.PatternOf(modules[0].Module);
        var layers = modules
            .SelectMany(module => module.Module.Split('.').Where(segment => segment.All(char.IsAsciiDigit)))
            .Select(segment => int.Parse(segment, CultureInfo.InvariantCulture))
            .ToList();
        return layers.Count == 0
            ? pattern
            : pattern.Replace("*", LayerList.Text(layers, spec.Blocks.Count), StringComparison.Ordinal);
    }

    private static string Cut(TensorSlice slice, int headDim)
    {
        if (slice.Dim is not { } dim)
        {
            return "whole";
        }

        var what = dim == 0 ? "rows" : "columns";
        var parts = $"{what} {string.Join(" and ", slice.Ranges.Select(Text))}";
        var range = slice.Ranges[0];
        if (headDim == 0 || range.Start % headDim != 0 || range.End % headDim != 0)
        {
            return parts;
        }

        var heads = new IndexRange(range.Start / headDim, range.End / headDim);
        return $"{parts} ({(heads.Length == 1 ? "head" : "heads")} {Text(heads)})";
    }

    private static string Text(IndexRange range) =>
        range.Length == 1 ? $"{range.Start}" : $"{range.Start}–{range.End - 1}";

    // Projections whose rows (or columns, at the output) are heads. A gathering style may cut through one: then none is
    // named.
    private static Dictionary<string, int> HeadDims(ModelSpec spec) => spec.Blocks
        .SelectMany(block => block.Linears.Take(4)
            .Select(linear => KeyValuePair.Create(linear.Name, block.Attention.HeadDim)))
        .ToDictionary();

    private static string ModuleOf(string parameter) => parameter[..parameter.LastIndexOf('.')];

    private sealed record ModuleCut(string Module, string Style, IReadOnlyList<string> Cuts, IReadOnlyList<long> Bytes);
}
