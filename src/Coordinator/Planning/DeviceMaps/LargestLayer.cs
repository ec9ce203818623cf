using TensorParallel.Coordinator.Planning.ModuleTrees;

namespace TensorParallel.Coordinator.Planning.DeviceMaps;

/// <summary>
/// The largest thing among what waits that must stay whole: a layer, a module without modules, or a lone parameter.
/// Immutable.
/// </summary>
/// <param name="Bytes">Its size.</param>
/// <param name="Names">All that have this size.</param>
internal sealed record LargestLayer(long Bytes, IReadOnlyList<string> Names)
{
    /// <summary>Looks through the items.</summary>
    public static LargestLayer Of(IEnumerable<PlacementItem> items, ModuleSizes sizes)
    {
        var layers = items.SelectMany(item => LayersOf(item, sizes.Tree)).ToLookup(name => sizes[name]);
        var most = layers.Select(group => group.Key).DefaultIfEmpty(0).Max();
        return new LargestLayer(most, [.. layers[most]]);
    }

    /// <summary>
    /// The same after an item was taken out. Rule: the size holds until the last layer of that size is gone; only then
    /// is what waits looked through again.
    /// </summary>
    public LargestLayer Without(string item, Func<IEnumerable<PlacementItem>> waiting, ModuleSizes sizes)
    {
        var left = Names.Where(name => !ModuleTree.IsInside(name, item)).ToList();
        return left.Count > 0 ? this with { Names = left } : Of(waiting(), sizes);
    }

    private static IEnumerable<string> LayersOf(PlacementItem item, ModuleTree tree) =>
        item.Module is null || tree.IsWhole(item.Module)
            ? [item.Name]
            : item.Module.Children.SelectMany(
                child => LayersOf(new(ModuleTree.Join(item.Name, child.Key), child.Value), tree));
}
