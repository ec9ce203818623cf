using TensorParallel.Coordinator.Planning.ModuleTrees;

namespace TensorParallel.Coordinator.Planning.DeviceMaps;

/// <summary>Something that waits for a place.</summary>
/// <param name="Name">Full name.</param>
/// <param name="Module">Null: a parameter or buffer on its own.</param>
internal sealed record PlacementItem(string Name, ModuleNode? Module)
{
    /// <summary>
    /// What a module is split into: its own parameters, then its modules. Its own buffers go with neither.
    /// </summary>
    public IEnumerable<PlacementItem> Parts() => PartsOf(Name, Module!);

    /// <inheritdoc cref="Parts"/>
    public static IEnumerable<PlacementItem> PartsOf(string name, ModuleNode module) =>
    [
        .. module.Parameters.Select(tensor => new PlacementItem(ModuleTree.Join(name, tensor.Name), null)),
        .. module.Children.Select(child => new PlacementItem(ModuleTree.Join(name, child.Key), child.Value)),
    ];
}
