using TensorParallel.Coordinator.Planning;
using TensorParallel.Coordinator.Planning.ModuleTrees;
using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Hosting;

/// <summary>
/// A model with its device map; unlike <see cref="PreparedModel"/> also of families that cannot be computed, and of
/// maps that cannot be run. Immutable.
/// </summary>
/// <param name="Name">Name for people: the folder's or the file's.</param>
/// <param name="Spec">What the model is; of a family that cannot be computed, its sizes only.</param>
/// <param name="Modules">Its modules.</param>
/// <param name="Map">The map.</param>
internal sealed record PreparedMap(string Name, ModelSpec Spec, ModuleTree Modules, DeviceMapPlan Map)
{
    /// <summary>What the user should know of the choice of devices.</summary>
    public IReadOnlyList<string> Notices { get; init; } = [];

    /// <summary>Reads the configuration, selects the devices and makes the map. No weight is read.</summary>
    /// <exception cref="CheckpointException">The model folder or file is wrong.</exception>
    /// <exception cref="PlanException">The map cannot be made.</exception>
    public static async Task<PreparedMap> PrepareAsync(ModelArguments arguments, CancellationToken cancellationToken)
    {
        var path = Path.TrimEndingDirectorySeparator(Path.GetFullPath(arguments.Model ?? DemoModel.Folder()));
        var (spec, dtype, modules, canCompute) = Open(path, arguments.DType);
        var choice = await DeviceSelection.SelectAsync(arguments, PreparationScope.PlanOnly, cancellationToken);
        var request = PreparedModel.Request(arguments, spec, choice.Devices, dtype) with
        {
            Modules = modules,
            CanCompute = canCompute,
        };
        return new PreparedMap(Path.GetFileName(path), spec, modules, DeviceMapPlan.Make(request, []))
        {
            Notices = choice.Notices,
        };
    }

    /// <summary>What a path describes, whether or not it can be computed.</summary>
    /// <exception cref="CheckpointException">Nothing that is known, or quantized weights.</exception>
    public static (ModelSpec Spec, DType DType, ModuleTree Modules, bool CanCompute) Open(string path, string dtype)
    {
        var file = Directory.Exists(path) ? Path.Combine(path, Checkpoint.ConfigFileName) : path;
        if (!File.Exists(file))
        {
            var opened = PlanModel.Open(path, dtype);
            return (opened.Spec, opened.DType, ModuleTreeCatalog.Describe(opened.Checkpoint!.Config), true);
        }

        var config = ModelConfig.Load(file);
        var modules = ModuleTreeCatalog.Describe(config);
        if (config.QuantMethod is not null || ArchitectureCatalog.ModelTypes.Contains(config.ModelType))
        {
            var opened = PlanModel.Open(path, dtype);
            return (opened.Spec, opened.DType, modules, true);
        }

        return (PlainDecoder.Of(modules.Shape), DTypeResolution.Resolve(dtype, config), modules, false);
    }
}
