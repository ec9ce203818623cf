using System.Collections.Frozen;
using TensorParallel.Protocol.Checkpoints;

namespace TensorParallel.Coordinator.Planning.ModuleTrees;

/// <summary>
/// Bytes of every module, parameter and buffer of a tree: a module's are the sum of all below it, and a tied parameter
/// counts once, where it is defined first. Example: a tied lm_head has 0 bytes. Immutable.
/// </summary>
internal sealed class ModuleSizes
{
    private readonly FrozenDictionary<string, long> _bytes;

    public ModuleSizes(ModuleTree tree, DType dtype)
    {
        var bytes = new Dictionary<string, long> { [""] = 0 };
        foreach (var (name, tensor) in tree.OwnTensors())
        {
            var size = tensor.Bytes(dtype);
            bytes[""] += size;
            for (var end = name.IndexOf('.'); end >= 0; end = name.IndexOf('.', end + 1))
            {
                Add(name[..end], size);
            }

            Add(name, size);
        }

        _bytes = bytes.ToFrozenDictionary();
        Tree = tree;

        void Add(string name, long size) => bytes[name] = bytes.GetValueOrDefault(name) + size;
    }

    /// <summary>What is measured.</summary>
    public ModuleTree Tree { get; }

    /// <summary>The whole model.</summary>
    public long Total => this[""];

    /// <summary>Bytes under a name; 0 for a name that holds nothing of its own.</summary>
    public long this[string name] => _bytes.GetValueOrDefault(name);
}
