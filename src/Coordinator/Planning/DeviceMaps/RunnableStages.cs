using TensorParallel.Coordinator.Planning.Offloading;
using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Planning.DeviceMaps;

/// <summary>
/// From a device map to stages that workers can run one after the other: embedding, layers and head, each device with consecutive
/// layers. What the map leaves on cpu or disk is brought to the device of the module before it; what comes before the first device, to
/// that one.
/// </summary>
/// <param name="Places">
/// Device numbers with something to compute, in the order in which the map first names them.
/// </param>
/// <param name="Stages">What each of them computes.</param>
/// <param name="Off">Modules off the devices, and where they lie.</param>
/// <param name="Notes">Where a stage differs from the map's words without a difference in what is computed.</param>
internal sealed record RunnableStages(
    IReadOnlyList<string> Places,
    IReadOnlyList<RankStage> Stages,
    IReadOnlyDictionary<string, Residency> Off,
    IReadOnlyList<string> Notes)
{
    /// <summary>The stages; null where the map cannot be run, and <paramref name="obstacle"/> says why.</summary>
    /// <param name="map">The map.</param>
    /// <param name="spec">The model.</param>
    /// <param name="devices">Numbers of the devices that there are: a map that names none runs on the first.</param>
    /// <param name="obstacle">Why not; empty where it can be run.</param>
    public static RunnableStages? Of(DeviceMap map, ModelSpec spec, IReadOnlyList<string> devices, out string obstacle)
    {
        obstacle = "";
        IReadOnlyList<string> computed = [spec.Embedding.Name, .. spec.Blocks.Select(block => block.Name), spec.OutputHead.Name];
        if (computed.Append(spec.FinalNorm.Name).FirstOrDefault(module => IsCut(map, module)) is { } cut)
        {
            var places = Inside(map, cut).Append(map.PlaceOf(cut)).Where(place => place is not null).Distinct();
            obstacle = $"The device map cuts {cut} between {string.Join(" and ", places.Select(Words))}; to run, a layer must be in " +
                "one place.";
            return null;
        }

        var off = computed
            .Select(module => (Module: module, Place: ResidencyNames.Find(map.PlaceOf(module)!)))
            .Where(module => module.Place is Residency.Host or Residency.Disk)
            .ToDictionary(module => module.Module, module => module.Place!.Value);
        if (off.Count == 0 && map.PlaceOf(spec.FinalNorm.Name) is DeviceBudget.Cpu or DeviceBudget.Disk)
        {
            obstacle = $"The device map leaves nothing but {spec.FinalNorm.Name} beside the devices, where it cannot be computed; put " +
                $"it on the device of {spec.OutputHead.Name}.";
            return null;
        }

        var own = computed.Select(module => off.ContainsKey(module) ? null : map.PlaceOf(module)).ToList();
        var first = own.Find(place => place is not null) ?? devices[0];
        var run = own.Select((_, i) => own.Take(i + 1).LastOrDefault(place => place is not null) ?? first).ToList();
        var (embedding, layers) = (run[0], run[1..^1]);
        var (head, notes) = HeadPlace(map, spec, layers[^1], run[^1], off);
        var chain = Runs([embedding, .. layers, head]);
        if (chain.GroupBy(place => place).FirstOrDefault(place => place.Count() > 1) is { } twice)
        {
            obstacle = $"The device map comes back to device {twice.Key} ({string.Join(" → ", chain)} along the " +
                "model); to run, each " +
                "device must hold consecutive layers, with the embedding before the first and the head after the last.";
            return null;
        }

        return new RunnableStages(chain, [.. chain.Select(Stage)], off, notes);

        RankStage Stage(string place)
        {
            var start = layers.IndexOf(place);
            var range = start < 0 ? new IndexRange(0, 0) : new IndexRange(start, layers.LastIndexOf(place) + 1);
            return new RankStage(range, place == embedding, place == head);
        }
    }

    /// <summary>What is off the device of a rank, in the order of use.</summary>
    public IReadOnlyList<OffloadedModule> OffloadedOf(StageWeights stage)
    {
        var off = Off.ToDictionary();
        if (stage.SharesTable)
        {
            // One table lies in one place: that of its first name.
            var (embedding, head) = (stage.Embedding!.Value.Name, stage.Head!.Value.Name);
            off.Remove(head);
            if (off.TryGetValue(embedding, out var place))
            {
                off[head] = place;
            }
        }

        return
        [
            .. new[] { stage.Embedding }.Concat(stage.Blocks.Cast<StageModule?>()).Append(stage.Head)
                .OfType<StageModule>()
                .Where(module => off.ContainsKey(module.Name))
                .Select(module => new OffloadedModule(module.Name, off[module.Name], module.Bytes)),
        ];
    }

    // A tied head is the embedding's table: accelerate keeps the two together, here the last stage has a copy. The
    // norm is a vector and goes with the head.
    private static (string Head, IReadOnlyList<string> Notes) HeadPlace(
        DeviceMap map, ModelSpec spec, string lastLayer, string head, Dictionary<string, Residency> off)
    {
        if (off.ContainsKey(spec.OutputHead.Name))
        {
            return (head, []);
        }

        var norm = map.PlaceOf(spec.FinalNorm.Name)!;
        if (spec.TieWordEmbeddings && head != lastLayer && head == map.PlaceOf(spec.Embedding.Name))
        {
            return (lastLayer, [
                $"The map has {spec.OutputHead.Name} on device {head} with {spec.Embedding.Name}, whose table it " +
                "is; it runs on device " +
                $"{lastLayer}, after the last layer, with a copy."]);
        }

        return norm == head
            ? (head, [])
            : (head, [$"The map has {spec.FinalNorm.Name} on {Words(norm)}; it runs on device {head}, with " +
                $"{spec.OutputHead.Name}."]);
    }

    private static string Words(string? place) => DeviceBudget.IsNumber(place!) ? $"device {place}" : place!;

    private static bool IsCut(DeviceMap map, string module) =>
        Inside(map, module).Append(map.PlaceOf(module)).Where(place => place is not null).Distinct().Count() > 1;

    // Places named for parts of a module.
    private static IEnumerable<string?> Inside(DeviceMap map, string module) => map.Entries
        .Where(entry => entry.Key.StartsWith(module + ".", StringComparison.Ordinal))
        .Select(entry => (string?)entry.Value);

    private static List<string> Runs(IReadOnlyList<string> places) =>
        [.. places.Where((place, i) => i == 0 || places[i - 1] != place)];
}
