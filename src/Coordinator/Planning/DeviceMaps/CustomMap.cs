using System.Globalization;
using System.Text;
using System.Text.Json;
using TensorParallel.Coordinator.Planning.ModuleTrees;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Planning.DeviceMaps;

/// <summary>
/// A device map that a user wrote: JSON of module → device, inline or in a file, as Hugging Face writes it.
/// </summary>
internal static class CustomMap
{
    private const int MostNamesShown = 5;

    // torch's names of devices mean the same numbers.
    private static readonly string[] s_prefixes = ["cuda:", "gpu:"];

    /// <summary>Reads and checks it: every parameter in one place, every place known and large enough.</summary>
    /// <param name="text">An inline JSON object, or the path of a file.</param>
    /// <param name="sizes">The model.</param>
    /// <param name="budgets">The places that exist. Disk needs no budget.</param>
    /// <exception cref="PlanException">Everything that is wrong with it.</exception>
    public static DeviceMap Read(string text, ModuleSizes sizes, IReadOnlyList<DeviceBudget> budgets)
    {
        var problems = new List<string>();
        var map = new DeviceMap([.. Entries(text, problems)]);
        problems.AddRange(UnknownModules(map, sizes.Tree));
        problems.AddRange(Doubled(map));
        problems.AddRange(Missing(map, sizes.Tree));
        problems.AddRange(UnknownPlaces(map, budgets));
        if (problems.Count == 0)
        {
            problems.AddRange(TooSmall(map, sizes, budgets));
        }

        return problems.Count == 0 ? map : throw new PlanException(problems);
    }

    private static IEnumerable<KeyValuePair<string, string>> Entries(string text, List<string> problems)
    {
        foreach (var property in Json(text).EnumerateObject())
        {
            var place = property.Value.ValueKind switch
            {
                JsonValueKind.String => Word(property.Value.GetString()!),
                JsonValueKind.Number when property.Value.TryGetInt32(out var number) => $"{number}",
                _ => property.Value.GetRawText(),
            };
            if (place is DeviceBudget.Cpu or DeviceBudget.Disk || DeviceBudget.IsNumber(place))
            {
                yield return new(property.Name, place);
            }
            else
            {
                problems.Add(
                    $"The device map puts {Quote.Of(property.Name)} on {Quote.Of(place)}, which is no device; " +
                    "devices are " +
                    "numbers, cpu and disk.");
            }
        }
    }

    // A module named twice is a key twice, which strict JSON refuses with its name.
    private static JsonElement Json(string text)
    {
        var trimmed = text.Trim();
        var isInline = trimmed.StartsWith('{');
        if (!isInline && !File.Exists(trimmed))
        {
            var strategies = string.Join(", ", DeviceMapStrategy.All.Select(strategy => strategy.Name));
            throw new PlanException(
                $"The device map {Quote.Of(text)} is neither fit, {strategies}, nor an inline JSON object, nor a " +
                "file that exists.");
        }

        try
        {
            return isInline
                ? JsonFile.ParseObject(Encoding.UTF8.GetBytes(trimmed), "The inline device map")
                : JsonFile.ReadObject(Path.GetFullPath(trimmed));
        }
        catch (CheckpointException exception)
        {
            throw new PlanException(exception.Message);
        }
    }

    // cuda:1 is 1, and cuda alone the first.
    private static string Word(string place)
    {
        var prefix = s_prefixes.FirstOrDefault(prefix => place.StartsWith(prefix, StringComparison.Ordinal));
        return prefix is not null ? place[prefix.Length..] : place == "cuda" ? "0" : place;
    }

    private static IEnumerable<string> UnknownModules(DeviceMap map, ModuleTree tree)
    {
        var known = tree.Modules().Select(module => module.Key)
            .Concat(tree.Tensors().Select(tensor => tensor.Key))
            .ToHashSet();
        foreach (var (module, _) in map.Entries.Where(entry => !known.Contains(entry.Key)))
        {
            var nearest = NearestName.Of(module, known.Where(name => name.Length > 0));
            yield return $"The device map names {Quote.Of(module)}, which is no module of this model." +
                (nearest is null ? "" : $" Did you mean {nearest}?");
        }
    }

    // Inside a module that is placed, a name can only say the same again.
    private static IEnumerable<string> Doubled(DeviceMap map)
    {
        foreach (var (module, place) in map.Entries)
        {
            var around = map.Entries.FirstOrDefault(
                other => other.Key != module && ModuleTree.IsInside(module, other.Key) && other.Value != place);
            if (around.Key is { } outer)
            {
                yield return
                    $"The device map places {Quote.Of(module)} twice: on {place}, and with {Quote.Of(outer)} on " +
                    $"{around.Value}; " +
                    "keep one of them.";
            }
        }
    }

    private static IEnumerable<string> Missing(DeviceMap map, ModuleTree tree)
    {
        var missing = tree.OwnTensors()
            .Where(tensor => !tensor.Value.IsBuffer && map.PlaceOf(tensor.Key) is null)
            .Select(tensor => tensor.Key)
            .ToList();
        if (missing.Count > 0)
        {
            var more = missing.Count > MostNamesShown ? $" and {missing.Count - MostNamesShown} more" : "";
            yield return
                $"The device map gives no device to {missing.Count} of " +
                $"{tree.OwnTensors().Count(tensor => !tensor.Value.IsBuffer)} " +
                $"parameters: {string.Join(", ", missing.Take(MostNamesShown))}{more}.";
        }
    }

    private static IEnumerable<string> UnknownPlaces(DeviceMap map, IReadOnlyList<DeviceBudget> budgets)
    {
        var places = budgets.Select(budget => budget.Device).ToList();
        foreach (var entry in map.Entries
            .Where(entry => entry.Value is not (DeviceBudget.Cpu or DeviceBudget.Disk) && !places.Contains(entry.Value))
            .DistinctBy(entry => entry.Value))
        {
            yield return $"The device map puts {Quote.Of(entry.Key)} on device {entry.Value}, which is not there; " +
                "there are " +
                $"{(places.Count == 0 ? "none" : string.Join(", ", places))}.";
        }
    }

    private static IEnumerable<string> TooSmall(DeviceMap map, ModuleSizes sizes, IReadOnlyList<DeviceBudget> budgets) =>
        from place in map.BytesByPlace(sizes)
        join budget in budgets on place.Key equals budget.Device
        where place.Value > budget.Bytes
        select string.Create(
            CultureInfo.InvariantCulture,
            $"The device map puts {place.Value} bytes ({ByteText.Of(place.Value)}) on {place.Key}, whose budget is " +
            $"{budget.Bytes} ({ByteText.Of(budget.Bytes!.Value)}).");
}
