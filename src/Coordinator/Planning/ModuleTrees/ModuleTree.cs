namespace TensorParallel.Coordinator.Planning.ModuleTrees;

/// <summary>
/// A causal language model as transformers builds it: every module with its name, and what it holds. Made from
/// config.json alone; nothing is allocated for it. Immutable.
/// </summary>
/// <param name="Root">The whole model; its name is empty.</param>
/// <param name="NoSplitClasses">Classes of modules that a device map must not cut: the decoder layers.</param>
/// <param name="TiedParameters">
/// Groups of parameters that are one tensor; the first of a group is the one that is counted.
/// </param>
/// <param name="Shape">The numbers behind it.</param>
internal sealed record ModuleTree(
    ModuleNode Root,
    IReadOnlyList<string> NoSplitClasses,
    IReadOnlyList<IReadOnlyList<string>> TiedParameters,
    DecoderShape Shape)
{
    /// <summary>Joins a module's name and a name inside it; the root's is empty.</summary>
    public static string Join(string module, string name) => module.Length == 0 ? name : $"{module}.{name}";

    /// <summary>Whether a parameter or module is, or lies inside, a module: layers.10 is not inside layers.1.</summary>
    public static bool IsInside(string name, string module) =>
        module.Length == 0
        || (name.StartsWith(module, StringComparison.Ordinal)
            && (name.Length == module.Length || name[module.Length] == '.'));

    /// <summary>Every module, parents before children, in the order of definition; the root first.</summary>
    public IEnumerable<KeyValuePair<string, ModuleNode>> Modules() => Modules("", Root);

    /// <summary>Every parameter and buffer by its full name; of tied parameters all names.</summary>
    public IEnumerable<KeyValuePair<string, TensorNode>> Tensors() => Modules().SelectMany(
        module => module.Value.Tensors.Select(tensor => KeyValuePair.Create(Join(module.Key, tensor.Name), tensor)));

    /// <summary>Every parameter and buffer that takes memory: of tied parameters the first.</summary>
    public IEnumerable<KeyValuePair<string, TensorNode>> OwnTensors()
    {
        var copies = TiedParameters.SelectMany(group => group.Skip(1)).ToHashSet();
        return Tensors().Where(tensor => !copies.Contains(tensor.Key));
    }

    /// <summary>Whether a module must stay whole: a layer, or one without modules.</summary>
    public bool IsWhole(ModuleNode module) => module.Children.Count == 0 || NoSplitClasses.Contains(module.ClassName);

    private static IEnumerable<KeyValuePair<string, ModuleNode>> Modules(string name, ModuleNode node)
    {
        yield return new(name, node);
        foreach (var module in node.Children.SelectMany(child => Modules(Join(name, child.Key), child.Value)))
        {
            yield return module;
        }
    }
}
