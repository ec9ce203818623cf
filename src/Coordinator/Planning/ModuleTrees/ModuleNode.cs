namespace TensorParallel.Coordinator.Planning.ModuleTrees;

/// <summary>
/// One module as transformers builds it, under no name of its own: equal layers share one node. Immutable.
/// </summary>
/// <param name="ClassName">The Python class, by which modules are kept whole.</param>
/// <param name="Tensors">What it holds itself, parameters before buffers.</param>
/// <param name="Children">
/// Its modules in the order in which they are defined; those that hold nothing are left out.
/// </param>
internal sealed record ModuleNode(
    string ClassName, IReadOnlyList<TensorNode> Tensors, IReadOnlyList<KeyValuePair<string, ModuleNode>> Children)
{
    /// <summary>A module without modules.</summary>
    public static ModuleNode Leaf(string className, params TensorNode[] tensors) => new(className, tensors, []);

    /// <summary>A module that holds only modules.</summary>
    public static ModuleNode Of(string className, params KeyValuePair<string, ModuleNode>[] children) =>
        new(className, [], children);

    /// <summary>Own parameters, without buffers.</summary>
    public IEnumerable<TensorNode> Parameters => Tensors.Where(tensor => !tensor.IsBuffer);
}
