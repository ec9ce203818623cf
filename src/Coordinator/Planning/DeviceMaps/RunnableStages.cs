using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Planning.DeviceMaps;

/// <summary>
/// From a device map to stages that workers can run one after the other: embedding, layers and head on devices, each
/// device with consecutive layers.
/// </summary>
/// <param name="Places">
/// Device numbers with something to compute, in the order in which the map first names them.
/// </param>
/// <param name="Stages">What each of them computes.</param>
/// <param name="Notes">Where a stage differs from the map's words without a difference in what is computed.</param>
internal sealed record RunnableStages(
    IReadOnlyList<string> Places, IReadOnlyList<RankStage> Stages, IReadOnlyList<string> Notes)
{
    /// <summary>The stages; null where the map cannot be run, and <paramref name="obstacle"/> says why.</summary>
    public static RunnableStages? Of(DeviceMap map, ModelSpec spec, out string obstacle)
    {
        obstacle = "";
        IReadOnlyList<string> modules =
        [
            spec.Embedding.Name, .. spec.Blocks.Select(block => block.Name), spec.FinalNorm.Name, spec.OutputHead.Name,
        ];
        if (OffDevice(map, modules) is { } offDevice)
        {
            obstacle = offDevice;
            return null;
        }

        if (modules.FirstOrDefault(module => IsCut(map, module)) is { } cut)
        {
            obstacle = $"The device map cuts {cut} between devices; to run, a layer must be on one.";
            return null;
        }

        var layers = spec.Blocks.Select(block => map.PlaceOf(block.Name)!).ToList();
        var embedding = map.PlaceOf(spec.Embedding.Name)!;
        var (head, notes) = HeadPlace(map, spec, layers[^1]);
        var chain = Runs([embedding, .. layers, head]);
        if (chain.GroupBy(place => place).FirstOrDefault(place => place.Count() > 1) is { } twice)
        {
            obstacle = $"The device map comes back to device {twice.Key} ({string.Join(" → ", chain)} along the " +
                "model); to run, each " +
                "device must hold consecutive layers, with the embedding before the first and the head after the last.";
            return null;
        }

        return new RunnableStages(chain, [.. chain.Select(Stage)], notes);

        RankStage Stage(string place)
        {
            var first = layers.IndexOf(place);
            var range = first < 0 ? new IndexRange(0, 0) : new IndexRange(first, layers.LastIndexOf(place) + 1);
            return new RankStage(range, place == embedding, place == head);
        }
    }

    // A tied head is the embedding's table: accelerate keeps the two together, here the last stage has a copy. The
    // norm is a vector and goes with the head.
    private static (string Head, IReadOnlyList<string> Notes) HeadPlace(DeviceMap map, ModelSpec spec, string lastLayer)
    {
        var (norm, head) = (map.PlaceOf(spec.FinalNorm.Name)!, map.PlaceOf(spec.OutputHead.Name)!);
        if (spec.TieWordEmbeddings && head != lastLayer && head == map.PlaceOf(spec.Embedding.Name))
        {
            return (lastLayer, [
                $"The map has {spec.OutputHead.Name} on device {head} with {spec.Embedding.Name}, whose table it " +
                "is; it runs on device " +
                $"{lastLayer}, after the last layer, with a copy."]);
        }

        return norm == head
            ? (head, [])
            : (head, [$"The map has {spec.FinalNorm.Name} on device {norm}; it runs on device {head}, with " +
                $"{spec.OutputHead.Name}."]);
    }

    private static string? OffDevice(DeviceMap map, IReadOnlyList<string> modules)
    {
        var off = modules
            .SelectMany(module => Inside(map, module)
                .Append(map.PlaceOf(module))
                .Select(place => (Module: module, Place: place)))
            .Where(module => module.Place is DeviceBudget.Cpu or DeviceBudget.Disk)
            .Distinct()
            .ToList();
        return off.Count == 0
            ? null
            : $"The device map leaves {off.Count} of {modules.Count} modules on " +
                $"{string.Join(" and ", off.Select(m => m.Place).Distinct())}, " +
                $"beginning with {off[0].Module}; only maps with everything on devices can be run yet.";
    }

    private static bool IsCut(DeviceMap map, string module) =>
        Inside(map, module).Append(map.PlaceOf(module)).Where(place => place is not null).Distinct().Count() > 1;

    // Places named for parts of a module.
    private static IEnumerable<string?> Inside(DeviceMap map, string module) => map.Entries
        .Where(entry => entry.Key.StartsWith(module + ".", StringComparison.Ordinal))
        .Select(entry => (string?)entry.Value);

    private static List<string> Runs(IReadOnlyList<string> places) =>
        [.. places.Where((place, i) => i == 0 || places[i - 1] != place)];
}
