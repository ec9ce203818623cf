using TensorParallel.Coordinator.Engine;
using TensorParallel.Coordinator.Launching;
using TensorParallel.Coordinator.Workers;

namespace TensorParallel.Coordinator.Hosting;

/// <summary>
/// A running model: workers loaded and joined, engine ready. Disposing it stops the engine at once and leaves no
/// process; drain the engine first to let requests finish.
/// </summary>
internal sealed class ModelHost : IAsyncDisposable
{
    private readonly LocalLauncher _launcher;

    private ModelHost(PreparedModel model, ModelArguments arguments, IProgress<LoadProgress> progress, ILoggerFactory loggers)
    {
        Model = model;
        _launcher = new LocalLauncher(
            WorkerProgram.Find(AppContext.BaseDirectory, Environment.GetEnvironmentVariable(WorkerProgram.OverrideVariable)),
            loggers);
        Groups = new MeasuredGroupFactory(new WorkerGroupFactory(Options(model, arguments), _launcher, progress, loggers));
        Engine = new InferenceEngine(
            Groups,
            model.Tokenizer,
            new EngineOptions { MicroBatches = arguments.MicroBatches },
            TimeProvider.System,
            loggers.CreateLogger<InferenceEngine>());
        Served = new ServedModel(
            new ModelInfo(model.Name, model.Spec, model.Plan, model.Generation.EosTokenIds), Engine, model.Requests, model.Tokenizer);
    }

    /// <summary>What runs.</summary>
    public PreparedModel Model { get; }

    /// <summary>Where requests go.</summary>
    public InferenceEngine Engine { get; }

    /// <summary>What the public interfaces need.</summary>
    public ServedModel Served { get; }

    /// <summary>The present worker group's own figures.</summary>
    public MeasuredGroupFactory Groups { get; }

    /// <summary>A host whose workers are not started yet: <see cref="StartAsync"/> does that.</summary>
    public static ModelHost Create(
        PreparedModel model, ModelArguments arguments, IProgress<LoadProgress> progress, ILoggerFactory loggers) =>
        new(model, arguments, progress, loggers);

    /// <summary>Starts the workers and loads the weights; returns when the first request can be computed.</summary>
    /// <exception cref="WorkerLostException">A worker ended, failed or did not answer; no process is left.</exception>
    public Task StartAsync(CancellationToken cancellationToken) => Engine.StartAsync(cancellationToken);

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await Engine.DisposeAsync();
        _launcher.Dispose();
    }

    private static WorkerGroupOptions Options(PreparedModel model, ModelArguments arguments)
    {
        var options = new WorkerGroupOptions
        {
            Plan = model.Plan,
            ModelFolder = model.RandomWeightsConfig ?? model.Folder,
            ShardFolder = model.ShardFolder,
            RandomWeights = model.RandomWeightsConfig is not null,
            TimeOperations = arguments.TimeOperations,
            LoadThreadsPerWorker = arguments.LoadThreads is { } readers ? Math.Max(1, readers / model.Plan.WorldSize) : null,
            ThreadsPerWorker = arguments.Threads is { } threads ? Math.Max(1, threads / model.Plan.WorldSize) : null,
        };

        // A rank's own wait on a peer ends first: its message names the collective, the coordinator's only the step.
        return arguments.StepTimeout is { } timeout
            ? options with { StepTimeout = timeout, CollectiveTimeout = timeout * 0.9 }
            : options;
    }
}
