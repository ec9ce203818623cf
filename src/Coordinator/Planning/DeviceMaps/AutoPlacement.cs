using TensorParallel.Coordinator.Planning.ModuleTrees;

namespace TensorParallel.Coordinator.Planning.DeviceMaps;

/// <summary>
/// Accelerate's placement, rule by rule: modules are taken in order of definition and put on the current device; what
/// does not fit is split into its parts, and what cannot be split closes the device for good. Behind the last place
/// stands the disk, which takes everything. Used once.
/// </summary>
internal sealed class AutoPlacement
{
    private readonly ModuleTree _tree;
    private readonly ModuleSizes _sizes;
    private readonly IReadOnlyList<DeviceBudget> _places;
    private readonly long[] _used;
    private readonly Dictionary<string, string> _map = [];

    // What is still to be placed, next first.
    private List<PlacementItem> _work;

    private int _current;
    private LargestLayer _largest;

    private AutoPlacement(ModuleSizes sizes, IReadOnlyList<DeviceBudget> budgets)
    {
        _tree = sizes.Tree;
        _sizes = sizes;

        // Rule: the disk is always there, and its size is never looked at.
        var disk = new DeviceBudget(DeviceBudget.Disk, null);
        _places = [.. budgets.Where(budget => budget.Device != DeviceBudget.Disk), disk];
        _used = new long[_places.Count];

        // Rule: work begins with the model's own parameters, then its modules, then its buffers.
        _work =
        [
            .. PlacementItem.PartsOf("", _tree.Root),
            .. _tree.Root.Tensors.Where(tensor => tensor.IsBuffer).Select(tensor => new PlacementItem(tensor.Name, null)),
        ];
        _largest = LargestLayer.Of(_work, _sizes);
    }

    /// <summary>The merged map.</summary>
    /// <param name="sizes">The model.</param>
    /// <param name="budgets">Places in the order in which they are filled; the disk need not be among them.</param>
    public static DeviceMap Place(ModuleSizes sizes, IReadOnlyList<DeviceBudget> budgets)
    {
        var placement = new AutoPlacement(sizes, budgets);
        while (placement._work.Count > 0)
        {
            placement.PlaceNext();
        }

        var order = sizes.Tree.Modules().Select(module => module.Key)
            .Concat(sizes.Tree.Tensors().Select(tensor => tensor.Key))
            .Where(placement._map.ContainsKey);
        return new DeviceMap([.. order.Select(name => KeyValuePair.Create(name, placement._map[name]))]).Merged();
    }

    private void PlaceNext()
    {
        var item = _work[0];
        _work.RemoveAt(0);
        _largest = _largest.Without(item.Name, () => _work.Where(other => other.Module is not null), _sizes);
        var tied = TiedOutside(item.Name);
        if (Fits(_sizes[item.Name] + BytesOf(tied)))
        {
            Assign(item, tied);
        }
        else if (!(tied.Count > 0 && Fits(_sizes[item.Name]) && SplitTied(item, tied))
            && !(!FitsWithRoomToSpare(item) && Split(item)))
        {
            // Rule: a device that could not take an item is closed, even where smaller ones would still fit.
            _work.Insert(0, item);
            _current++;
        }
    }

    // Rule: the first device and host memory keep room for the largest layer still to come, which may have to be
    // brought there for computing. Null: no limit.
    private long? Limit
    {
        get
        {
            var place = _places[_current];
            var isFirst = _current == 0 && place.IsDevice;
            return place.Bytes - (isFirst || place.Device == DeviceBudget.Cpu ? _largest.Bytes : 0);
        }
    }

    private bool Fits(long bytes) => Limit is not { } limit || _used[_current] + bytes <= limit;

    // Rule: an item that fills the device to the last byte is split all the same, if its tied modules did not fit.
    private bool FitsWithRoomToSpare(PlacementItem item) =>
        Limit is not { } limit || _used[_current] + _sizes[item.Name] < limit;

    private void Assign(PlacementItem item, IReadOnlyList<TiedModule> tied)
    {
        var place = _places[_current].Device;
        _used[_current] += _sizes[item.Name] + BytesOf(tied);
        _map[item.Name] = place;
        foreach (var module in tied)
        {
            _work.RemoveAll(other => other.Name == module.Item.Name);
            _map[module.Item.Name] = place;
        }
    }

    // Rule: parameters that are tied to one inside the item, and the items in which they wait, come along with it.
    private List<TiedModule> TiedOutside(string name)
    {
        var parameters = _tree.TiedParameters
            .Where(group => group.Any(IsInside) && !group.All(IsInside))
            .SelectMany(group => group.Where(parameter => !IsInside(parameter)));
        return [.. parameters
            .Select(parameter => (
                Item: _work.FirstOrDefault(item => ModuleTree.IsInside(parameter, item.Name)), Parameter: parameter))
            .Where(tied => tied.Item is not null)
            .Select(tied => new TiedModule(tied.Item!, tied.Parameter))];

        bool IsInside(string parameter) => ModuleTree.IsInside(parameter, name);
    }

    private long BytesOf(IReadOnlyList<TiedModule> tied) =>
        tied.Sum(module => _sizes[module.Item.Name] - _sizes[module.Parameter]);

    // Rule: where the item fits but not with the modules it is tied to, the first of these that can be split is.
    private bool SplitTied(PlacementItem item, IReadOnlyList<TiedModule> tied)
    {
        if (tied.FirstOrDefault(module => CanSplit(module.Item)) is not { } split)
        {
            return false;
        }

        var index = _work.IndexOf(split.Item);
        Replace([item, .. _work.Take(index), .. split.Item.Parts(), .. _work.Skip(index + 1)]);
        return true;
    }

    // Rule: an item that does not fit is replaced by its parameters and modules, unless it must stay whole.
    private bool Split(PlacementItem item)
    {
        if (!CanSplit(item))
        {
            return false;
        }

        Replace([.. item.Parts(), .. _work]);
        return true;
    }

    private bool CanSplit(PlacementItem item) => item.Module is { } module && !_tree.IsWhole(module);

    private void Replace(List<PlacementItem> work)
    {
        _work = work;
        _largest = LargestLayer.Of(_work.Where(item => item.Module is not null), _sizes);
    }

    /// <param name="Item">Waits in the work list.</param>
    /// <param name="Parameter">In it; tied to one of the item being placed, with which it is counted.</param>
    private sealed record TiedModule(PlacementItem Item, string Parameter);
}
