using TensorParallel.Protocol.Architectures;

namespace TensorParallel.Protocol.Parallel;

/// <summary>
/// The groups in which a rank's weights come to its device, in the order of use: what the plan counts slots by and the worker fills
/// them by, from one rule.
/// </summary>
public static class OffloadGroups
{
    /// <summary>Tensors in a slot begin at multiples of so many bytes.</summary>
    public const int Alignment = 256;

    /// <summary>
    /// The groups. Blocks that follow one another and lie at the same place share a group, up to
    /// <see cref="OffloadPlan.BlocksPerGroup"/> of them (all of them for <see cref="OffloadKind.Model"/>); the head is a group of its own.
    /// Example: blocks 10 to 14 off the device, two a group: {10, 11}, {12, 13}, {14}. An embedding that is only looked up in is in none.
    /// </summary>
    public static IReadOnlyList<OffloadGroup> Of(
        ModelSpec spec, OffloadKind kind, int blocksPerGroup, IReadOnlyList<OffloadedModule> modules, IReadOnlyList<TensorSlice> tensors)
    {
        var bytes = tensors.ToDictionary(tensor => tensor.Name, tensor => Align(tensor.Bytes));
        var most = kind == OffloadKind.Group ? blocksPerGroup : kind == OffloadKind.Model ? int.MaxValue : 1;
        var places = modules.ToDictionary(module => module.Name, module => module.Residency);
        var groups = new List<OffloadGroup>();
        var last = -2;
        for (var layer = 0; layer < spec.Blocks.Count; layer++)
        {
            var block = spec.Blocks[layer];
            if (!places.TryGetValue(block.Name, out var place))
            {
                continue;
            }

            var size = ModelSpecTensors.Of(block).Sum(tensor => bytes.GetValueOrDefault(tensor.Name));
            if (groups.Count > 0 && last == layer - 1 && groups[^1].Residency == place && groups[^1].Modules.Count < most)
            {
                groups[^1] = new OffloadGroup([.. groups[^1].Modules, block.Name], place, groups[^1].Bytes + size);
            }
            else
            {
                groups.Add(new OffloadGroup([block.Name], place, size));
            }

            last = layer;
        }

        if (places.TryGetValue(spec.OutputHead.Name, out var headPlace))
        {
            var names = spec.TieWordEmbeddings
                ? [spec.Embedding.WeightName]
                : ModelSpecTensors.Of(spec.OutputHead).Select(tensor => tensor.Name);
            groups.Add(new OffloadGroup([spec.OutputHead.Name], headPlace, names.Sum(name => bytes.GetValueOrDefault(name))));
        }

        return groups;
    }

    /// <summary>The next multiple of <see cref="Alignment"/>.</summary>
    public static long Align(long bytes) => (bytes + Alignment - 1) / Alignment * Alignment;
}
