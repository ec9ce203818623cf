using TensorParallel.Coordinator.Planning.ModuleTrees;

namespace TensorParallel.Coordinator.Planning.DeviceMaps;

/// <summary>
/// Module → place, as Hugging Face writes it: a module named stands for all below it; the empty name is the whole
/// model. Immutable.
/// </summary>
/// <param name="Entries">In model order.</param>
internal sealed record DeviceMap(IReadOnlyList<KeyValuePair<string, string>> Entries)
{
    /// <summary>
    /// The place of a module or parameter; null where the map names neither it nor a module around it.
    /// </summary>
    public string? PlaceOf(string name) => Entries
        .Where(entry => ModuleTree.IsInside(name, entry.Key))
        .OrderByDescending(entry => entry.Key.Length)
        .Select(entry => entry.Value)
        .FirstOrDefault();

    /// <summary>
    /// Bytes in each place, in the order in which the map names them; a tied parameter lies where its first name
    /// does.
    /// </summary>
    public IReadOnlyList<KeyValuePair<string, long>> BytesByPlace(ModuleSizes sizes)
    {
        // A module inside another one that is named too is counted with that one.
        var outermost = Entries.Where(entry => !Entries.Any(
            other => other.Key != entry.Key && ModuleTree.IsInside(entry.Key, other.Key)));
        return [.. outermost
            .GroupBy(entry => entry.Value, entry => sizes[entry.Key])
            .Select(place => KeyValuePair.Create(place.Key, place.Sum()))];
    }

    /// <summary>
    /// The map with modules joined that lie in one place whole, as accelerate cleans its maps: from the top down, a
    /// module that is named by several entries in one place becomes one entry.
    /// </summary>
    public DeviceMap Merged()
    {
        var entries = Entries.ToList();
        Merge(entries, "");
        return new DeviceMap(entries);
    }

    private static void Merge(List<KeyValuePair<string, string>> entries, string module)
    {
        var inside = entries.Where(IsBelow).ToList();
        if (inside.Count > 1 && inside.Select(entry => entry.Value).Distinct().Count() == 1)
        {
            var first = entries.FindIndex(IsBelow);
            entries.RemoveAll(IsBelow);
            entries.Insert(first, new(module, inside[0].Value));
            return;
        }

        var depth = module.Length == 0 ? 1 : module.Split('.').Length + 1;
        var children = inside
            .Where(entry => entry.Key.Length > module.Length)
            .Select(entry => string.Join('.', entry.Key.Split('.').Take(depth)))
            .Distinct();
        foreach (var child in children)
        {
            Merge(entries, child);
        }

        bool IsBelow(KeyValuePair<string, string> entry) =>
            module.Length == 0 || entry.Key.StartsWith(module + ".", StringComparison.Ordinal);
    }
}
