using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Checkpoints;

namespace TensorParallel.Coordinator.Planning;

/// <summary>What <c>--model</c> names: a model folder, or for planning a bare config.json. No weight is read.</summary>
/// <param name="Name">The folder's or the file's name, for people.</param>
/// <param name="Spec">The model.</param>
/// <param name="DType">What <c>--dtype</c> comes to: F32, BF16 or F16.</param>
/// <param name="Checkpoint">The folder; null for a bare config.json.</param>
/// <param name="Tensors">Where the model's tensors lie, by the model's names; null without weights.</param>
internal sealed record PlanModel(
    string Name,
    ModelSpec Spec,
    DType DType,
    Checkpoint? Checkpoint,
    IReadOnlyDictionary<string, TensorInfo>? Tensors)
{
    /// <summary>Whether there are weights to run; a plan needs none.</summary>
    public bool CanRun => Tensors is not null;

    /// <summary>Opens a folder or a config.json, and checks that the folder's weights are the model's.</summary>
    /// <param name="path">Folder or file.</param>
    /// <param name="dtype"><c>auto</c>, <c>float32</c>, <c>bfloat16</c> or <c>float16</c>.</param>
    /// <exception cref="CheckpointException">Anything wrong with any of it.</exception>
    public static PlanModel Open(string path, string dtype)
    {
        var fullPath = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
        var name = Path.GetFileName(fullPath);
        if (File.Exists(fullPath))
        {
            return OpenConfig(fullPath, fullPath, dtype);
        }

        var checkpoint = Checkpoint.Open(fullPath);
        var spec = ArchitectureCatalog.Describe(checkpoint.Config);
        var tensors = checkpoint.HasWeights ? ModelSpecTensors.Locate(spec, checkpoint) : null;
        return new(name, spec, DTypeResolution.Resolve(dtype, checkpoint), checkpoint, tensors);
    }

    /// <summary>Opens a configuration alone; weights that may lie beside it are not looked at.</summary>
    /// <param name="path">The file.</param>
    /// <param name="named">Folder or file that the model is named after.</param>
    /// <param name="dtype">As in <see cref="Open"/>.</param>
    /// <exception cref="CheckpointException">It cannot be read, or describes no model that is known.</exception>
    public static PlanModel OpenConfig(string path, string named, string dtype)
    {
        var config = ModelConfig.Load(path);
        var name = Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(named)));
        return new(name, ArchitectureCatalog.Describe(config), DTypeResolution.Resolve(dtype, config), null, null);
    }
}
