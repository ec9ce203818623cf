using TensorParallel.Coordinator.Engine;
using TensorParallel.Coordinator.Planning;
using TensorParallel.Coordinator.Planning.ModuleTrees;
using TensorParallel.Coordinator.Planning.Offloading;
using TensorParallel.Coordinator.Sharding;
using TensorParallel.Coordinator.Text;
using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Hosting;

/// <summary>
/// A model that is understood, checked and planned; nothing runs yet and no weight has been read. Immutable.
/// </summary>
/// <param name="Name">Name for people and clients: the folder's.</param>
/// <param name="Folder">The model folder, full path; for a bare <c>config.json</c> the folder it lies in.</param>
/// <param name="Spec">What the model is.</param>
/// <param name="Generation">Its end-of-sequence ids and suggestions.</param>
/// <param name="Plan">How it is spread.</param>
/// <param name="Tokenizer">Null: the folder has none, or it was not asked for.</param>
internal sealed record PreparedModel(
    string Name, string Folder, ModelSpec Spec, GenerationConfig Generation, ExecutionPlan Plan, Tokenizer? Tokenizer)
{
    private const string TokenizerFileName = "tokenizer.json";

    /// <summary>The configuration whose shapes random weights take; null: weights are read from <see cref="Folder"/>.</summary>
    public string? RandomWeightsConfig { get; init; }

    /// <summary>What was free on each device that tells, by its name, when it was chosen.</summary>
    public IReadOnlyDictionary<string, long> FreeBytes { get; init; } = new Dictionary<string, long>();

    /// <summary>Files that hold the model's weights; none for a configuration alone and for random weights.</summary>
    public IReadOnlyList<string> SourceFiles { get; init; } = [];

    /// <summary>The shard set that is read instead of them; null: they are.</summary>
    public string? ShardFolder { get; init; }

    /// <summary>Makes and checks requests for this model.</summary>
    public GenerateRequestFactory Requests { get; } =
        new(Tokenizer, Spec.VocabularySize, Plan.Limits.MaxContextTokens, Generation.EosTokenIds);

    /// <summary>What the user should know of the devices chosen, and of what is not on them; sentences.</summary>
    public IReadOnlyList<string> Notices { get; init; } = [];

    /// <summary>Reads configuration and headers, checks them, selects the devices and plans.</summary>
    /// <param name="arguments">What the user asked.</param>
    /// <param name="scope">How much is needed.</param>
    /// <param name="cancellationToken">Ends a device probe.</param>
    /// <param name="offer">What the chosen devices offer the model, where they are shared; null: all they have.</param>
    /// <exception cref="CheckpointException">The model folder is wrong.</exception>
    /// <exception cref="PlanException">The plan cannot be honoured.</exception>
    /// <exception cref="TokenizerException">tokenizer.json cannot be used.</exception>
    public static async Task<PreparedModel> PrepareAsync(
        ModelArguments arguments,
        PreparationScope scope,
        CancellationToken cancellationToken,
        Func<IReadOnlyList<PlanDevice>, IReadOnlyList<PlanDevice>>? offer = null)
    {
        // Looking for GPUs starts a process and a driver: the model is read meanwhile.
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var choosing = DeviceSelection.SelectAsync(arguments, scope, stop.Token);
        try
        {
            return await PrepareAsync(arguments, scope, choosing, offer ?? (devices => devices), stop.Token);
        }
        catch
        {
            // A model that is refused leaves no probe running.
            await stop.CancelAsync();
            await ((Task)choosing).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            throw;
        }
    }

    private static async Task<PreparedModel> PrepareAsync(
        ModelArguments arguments,
        PreparationScope scope,
        Task<DeviceChoice> choosing,
        Func<IReadOnlyList<PlanDevice>, IReadOnlyList<PlanDevice>> offer,
        CancellationToken cancellationToken)
    {
        var path = Path.GetFullPath(arguments.Model ?? DemoModel.Folder());
        var config = arguments.RandomWeights ? ConfigOf(path) : null;
        if (scope == PreparationScope.Run && config is null && File.Exists(path))
        {
            throw new CheckpointException(
                $"{path}: is a file; to run a model, give the folder with its weights, or --weights random.");
        }

        var opened = config is null ? PlanModel.Open(path, arguments.DType) : PlanModel.OpenConfig(config, path, arguments.DType);
        if (scope == PreparationScope.Run && config is null && !opened.CanRun)
        {
            throw new CheckpointException(
                $"{path}: there are no weights to run, only a configuration to plan with; give --weights random to run it all the same.");
        }

        path = config ?? path;
        var folder = opened.Checkpoint?.Folder ?? Path.GetDirectoryName(path)!;
        var generation = opened.Checkpoint?.GenerationConfig ?? GenerationConfig.Load(folder, ModelConfig.Load(path));
        var tokenizer = scope == PreparationScope.Run && HasTokenizer(folder, config) ? Tokenizer.Load(folder) : null;
        var choice = await choosing;
        var plan = Planner.Plan(Request(arguments, opened.Spec, offer(choice.Devices), opened.DType) with
        {
            Modules = ModulesOf(opened, path),
        });
        if (scope == PreparationScope.Run && arguments.MaxMemory is null)
        {
            HostMemory.Check(plan);
        }

        if (config is not null && plan.Ranks.FirstOrDefault(rank => rank.Offload?.DiskBytes > 0) is { } fromDisk)
        {
            throw new PlanException(
                $"Random weights are in no file, but {ByteText.Of(fromDisk.Offload!.DiskBytes)} of rank {fromDisk.Rank} are to be read from " +
                "one for each use; give a larger cpu=… in --max-memory.");
        }

        var model = new PreparedModel(
            arguments.Name ?? opened.Name,
            folder,
            opened.Spec,
            generation,
            plan,
            tokenizer)
        {
            Notices = [.. choice.Notices, .. scope == PreparationScope.Run ? OffloadPlanner.Notes(plan.Ranks) : []],
            FreeBytes = choice.Devices.Where(device => device.FreeBytes is not null)
                .ToDictionary(device => device.Name, device => device.FreeBytes!.Value),
            RandomWeightsConfig = config,
            SourceFiles = opened.Tensors is { } tensors ? [.. tensors.Values.Select(tensor => tensor.File).Distinct()] : [],
        };
        return scope == PreparationScope.Run && config is null ? model.WithShards(arguments.Shards, cancellationToken) : model;
    }

    private PreparedModel WithShards(string option, CancellationToken cancellationToken)
    {
        var choice = ShardLookup.Find(option, new ShardSource(Folder, SourceFiles, Plan), cancellationToken);
        return this with { ShardFolder = choice.Folder, Notices = [.. Notices, .. choice.Notices] };
    }

    private static string ConfigOf(string path) =>
        File.Exists(path) ? path
        : Directory.Exists(path) ? Path.Combine(path, Checkpoint.ConfigFileName)
        : throw new CheckpointException($"{path}: there is neither a model folder nor a config.json.");

    // What lies beside a file of another name belongs to another model.
    private static bool HasTokenizer(string folder, string? config) =>
        (config is null || Path.GetFileName(config) == Checkpoint.ConfigFileName)
        && File.Exists(Path.Combine(folder, TokenizerFileName));

    /// <summary>What the arguments ask of the planner.</summary>
    internal static PlanRequest Request(
        ModelArguments arguments, ModelSpec spec, IReadOnlyList<PlanDevice> devices, DType dtype) => new(spec, devices, dtype)
        {
            TpPlan = arguments.TpPlan ?? TpPlan.Auto,
            UseDeviceMap = arguments.DeviceMap is not null,
            DeviceMap = arguments.DeviceMap ?? DeviceMapPlan.Fit,
            MaxMemory = arguments.MaxMemory,
            Offload = arguments.Offload,
            AllowFallback = arguments.Fallback,
            Limits = new LimitsRequest(
            MaxStepTokens: arguments.MaxStepTokens,
            MaxSequences: arguments.MaxSequences,
            MaxContextTokens: arguments.MaxContext),
        };

    private static ModuleTree? ModulesOf(PlanModel opened, string path) =>
        ModuleTreeCatalog.Find(opened.Checkpoint?.Config ?? ModelConfig.Load(path));
}
