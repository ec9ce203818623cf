using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Worker.Tests.Offloading;

/// <summary>Plans with weights off the device, made by hand from plans that have all on it.</summary>
internal static class OffloadPlans
{
    /// <summary>Names of the placements below.</summary>
    public static IReadOnlyList<string> Placements { get; } = ["host", "disk", "mixed", "blocks", "ends", "table"];

    /// <summary>The plan with modules off each rank's device.</summary>
    /// <param name="plan">All on the device.</param>
    /// <param name="spec">The model.</param>
    /// <param name="kind">In what portions they come.</param>
    /// <param name="blocksPerGroup">Blocks of a group.</param>
    /// <param name="slots">Slots.</param>
    /// <param name="placement">One of <see cref="Placements"/>.</param>
    public static ExecutionPlan Offload(
        this ExecutionPlan plan, ModelSpec spec, OffloadKind kind, int blocksPerGroup, int slots, string placement) => plan with
        {
            Ranks = [.. plan.Ranks.Select(rank => Offload(rank, spec, kind, blocksPerGroup, slots, placement))],
        };

    /// <summary>The model of a folder or a config.json.</summary>
    public static ModelSpec Spec(string folder) => ArchitectureCatalog.Describe(
        ModelConfig.Load(Directory.Exists(folder) ? Path.Combine(folder, Checkpoint.ConfigFileName) : folder));

    private static RankPlan Offload(
        RankPlan rank, ModelSpec spec, OffloadKind kind, int blocksPerGroup, int slots, string placement)
    {
        var bytes = rank.Tensors.ToDictionary(tensor => tensor.Name, tensor => tensor.Bytes);
        var modules = new List<OffloadedModule>();
        if (rank.HasEmbedding)
        {
            Add(spec.Embedding.Name, 0, [spec.Embedding.WeightName]);
        }

        for (var layer = rank.Layers.Start; layer < rank.Layers.End; layer++)
        {
            Add(spec.Blocks[layer].Name, layer + 1, [.. ModelSpecTensors.Of(spec.Blocks[layer]).Select(tensor => tensor.Name)]);
        }

        if (rank.HasOutputHead)
        {
            string[] own = [.. ModelSpecTensors.Of(spec.OutputHead).Select(tensor => tensor.Name)];
            Add(spec.OutputHead.Name, -1, !spec.TieWordEmbeddings ? own : rank.HasEmbedding ? [] : [spec.Embedding.WeightName]);
        }

        if (modules.Count == 0)
        {
            return rank;
        }

        var groups = OffloadGroups.Of(spec, kind, blocksPerGroup, modules, rank.Tensors);
        return rank with
        {
            WeightBytes = rank.WeightBytes - modules.Sum(module => module.Bytes),
            Offload = new OffloadPlan(kind, blocksPerGroup, slots, groups.Select(g => g.Bytes).DefaultIfEmpty(0).Max(), modules),
        };

        void Add(string name, int place, string[] tensors)
        {
            if (ResidencyOf(placement, place) is var residency && residency != Residency.Device)
            {
                modules.Add(new OffloadedModule(name, residency, tensors.Sum(tensor => bytes.GetValueOrDefault(tensor))));
            }
        }
    }

    // Place 0 is the embedding, −1 the head, n + 1 block n.
    private static Residency ResidencyOf(string placement, int place) => placement switch
    {
        "host" => Residency.Host,
        "disk" => Residency.Disk,
        "mixed" => place switch
        {
            0 => Residency.Host,
            -1 => Residency.Disk,
            2 => Residency.Device,
            _ => place % 2 == 1 ? Residency.Disk : Residency.Host,
        },
        "blocks" => place > 0 ? Residency.Host : Residency.Device,
        "table" => place == 0 ? Residency.Host : Residency.Device,
        "ends" => place == 0 ? Residency.Disk : place == -1 ? Residency.Host : Residency.Device,
        _ => throw new ArgumentException($"There is no placement {placement}.", nameof(placement)),
    };
}
