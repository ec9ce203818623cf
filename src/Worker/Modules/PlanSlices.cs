using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Worker.Modules;

/// <summary>A plan's tensor slices by name, for this rank and for its peers. Immutable.</summary>
internal sealed class PlanSlices
{
    private readonly IReadOnlyList<Dictionary<string, TensorSlice>> _byRank;

    /// <summary>
    /// Reads a plan. Throws <see cref="PlanException"/> when this rank lacks a tensor of a layer it computes, or a
    /// style is unknown.
    /// </summary>
    public PlanSlices(ModelSpec spec, ExecutionPlan plan, int rank)
    {
        _byRank = [.. plan.Ranks.Select(r => r.Tensors.ToDictionary(t => t.Name))];
        Plan = plan;
        Rank = plan.Ranks[rank];
        var layers = Rank.Layers;
        if (layers.Start < 0 || layers.End > spec.Blocks.Count)
        {
            throw new PlanException($"The plan has layers [{layers.Start}, {layers.End}) of {spec.Blocks.Count}.");
        }

        foreach (var tensor in spec.Blocks.Skip(layers.Start).Take(layers.Length).SelectMany(ModelSpecTensors.Of))
        {
            StyleOf(this[tensor.Name]);
        }
    }

    /// <summary>The plan.</summary>
    public ExecutionPlan Plan { get; }

    /// <summary>This rank's entry of the plan.</summary>
    public RankPlan Rank { get; }

    /// <summary>This rank's slices by tensor name.</summary>
    public IReadOnlyDictionary<string, TensorSlice> OfRank => _byRank[Rank.Rank];

    /// <summary>
    /// What this rank holds of a tensor; throws <see cref="PlanException"/> when it holds none of it.
    /// </summary>
    public TensorSlice this[string name] => OfRank.TryGetValue(name, out var slice)
        ? slice
        : throw new PlanException(
            $"The plan gives rank {Rank.Rank} no part of \"{name}\", which it needs: make the plan anew.");

    /// <summary>The style of a slice.</summary>
    public static TpStyle StyleOf(TensorSlice slice) => TpStyleCatalog.Find(slice.Style)
        ?? throw new PlanException(
            $"\"{slice.Name}\" has the style \"{slice.Style}\", which this worker does not know.");

    /// <summary>
    /// The rows of a tensor that each rank holds. They must follow one another without gap or overlap from 0 to
    /// <paramref name="size"/>: only then can the ranks' outputs be joined by a gather.
    /// </summary>
    public IReadOnlyList<IndexRange> RangesOfRanks(string name, int size)
    {
        var parts = new IndexRange[_byRank.Count];
        var next = 0;
        for (var r = 0; r < parts.Length; r++)
        {
            var start = next;
            foreach (var range in _byRank[r].TryGetValue(name, out var slice) ? slice.Ranges : [])
            {
                next = range.Start == next ? range.End : throw NotInOrder(name, size);
            }

            parts[r] = new IndexRange(start, next);
        }

        return next == size ? parts : throw NotInOrder(name, size);
    }

    /// <summary>The first rank that holds anything of a cut tensor.</summary>
    public int FirstHolder(string name)
    {
        for (var r = 0; r < _byRank.Count; r++)
        {
            if (_byRank[r].TryGetValue(name, out var slice) && slice.Ranges.Any(x => x.Length > 0))
            {
                return r;
            }
        }

        return 0;
    }

    private static PlanException NotInOrder(string name, int size) => new(
        $"The ranks' parts of \"{name}\" do not follow one another from 0 to {size}, so they cannot be gathered.");
}
