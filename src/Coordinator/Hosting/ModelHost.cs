using TensorParallel.Coordinator.Engine;
using TensorParallel.Coordinator.Launching;
using TensorParallel.Coordinator.Sharing;
using TensorParallel.Coordinator.Workers;

namespace TensorParallel.Coordinator.Hosting;

/// <summary>
/// A running model: workers loaded and joined, engine ready. Disposing it stops the engine at once and leaves no
/// process; drain the engine first to let requests finish.
/// </summary>
internal sealed class ModelHost : IModelMoves, IAsyncDisposable
{
    private readonly LocalLauncher _launcher;
    private readonly SharedModel? _shared;

    private ModelHost(
        PreparedModel model, ModelArguments arguments, IProgress<LoadProgress> progress, ILoggerFactory loggers, SharedModel? shared)
    {
        _shared = shared;
        Model = model;
        _launcher = new LocalLauncher(
            WorkerProgram.Find(AppContext.BaseDirectory, Environment.GetEnvironmentVariable(WorkerProgram.OverrideVariable)),
            loggers);
        var options = Options(model, arguments) with { Evictable = shared is { IsEvictable: true } };
        Groups = new MeasuredGroupFactory(new WorkerGroupFactory(options, _launcher, progress, loggers));
        Engine = new InferenceEngine(
            shared is null ? Groups : new SharedGroupFactory(Groups, shared, () => Engine!.Resume()),
            model.Tokenizer,
            new EngineOptions { MicroBatches = arguments.MicroBatches },
            TimeProvider.System,
            loggers.CreateLogger<InferenceEngine>());
        Served = new ServedModel(
            new ModelInfo(model.Name, model.Spec, model.Plan, model.Generation.EosTokenIds), Engine, model.Requests, model.Tokenizer)
        {
            Turns = shared is { IsEvictable: true } ? shared : null,
        };
        if (shared is not null)
        {
            shared.Moves = this;
        }
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
    /// <param name="model">What is to run.</param>
    /// <param name="arguments">What the user asked.</param>
    /// <param name="progress">Told how loading gets on.</param>
    /// <param name="loggers">Make loggers.</param>
    /// <param name="shared">The model's account with devices that others use too; null: it has them alone.</param>
    public static ModelHost Create(
        PreparedModel model,
        ModelArguments arguments,
        IProgress<LoadProgress> progress,
        ILoggerFactory loggers,
        SharedModel? shared = null) => new(model, arguments, progress, loggers, shared);

    /// <summary>Starts the workers and loads the weights; returns when the first request can be computed.</summary>
    /// <exception cref="WorkerLostException">A worker ended, failed or did not answer; no process is left.</exception>
    public Task StartAsync(CancellationToken cancellationToken) => Engine.StartAsync(cancellationToken);

    /// <summary>
    /// Refuses new requests, finishes the accepted ones, those that wait for the devices too, and stops the workers. What is not
    /// finished within <paramref name="grace"/>, or when the token is cancelled, fails.
    /// </summary>
    public async Task DrainAsync(TimeSpan grace, CancellationToken cancellationToken)
    {
        var started = TimeProvider.System.GetTimestamp();
        if (_shared is { IsEvictable: true })
        {
            await _shared.CloseAsync().WaitAsync(grace, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        var left = grace - TimeProvider.System.GetElapsedTime(started);
        await Engine.DrainAsync(left > TimeSpan.Zero ? left : TimeSpan.Zero, cancellationToken);
    }

    async Task<MoveSummary> IModelMoves.EvictAsync()
    {
        await Engine.SuspendAsync();
        return await Groups.Current!.EvictAsync();
    }

    async Task<MoveSummary> IModelMoves.RestoreAsync()
    {
        var moved = await Groups.Current!.RestoreAsync();
        Engine.Resume();
        return moved;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        try
        {
            await Engine.DisposeAsync();
        }
        finally
        {
            // Workers that the engine could not end do so with their launcher; then their memory is free.
            _launcher.Dispose();
            _shared?.Remove();
        }
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
