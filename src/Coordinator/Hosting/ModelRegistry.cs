using TensorParallel.Coordinator.Api;
using TensorParallel.Coordinator.Engine;
using TensorParallel.Coordinator.Planning.DeviceMaps;
using TensorParallel.Coordinator.Sharing;
using TensorParallel.Coordinator.Workers;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Hosting;

/// <summary>
/// Owns the hosts of all models that are served; each has its own engine and workers, so that one that fails leaves the others alone.
/// Disposing it ends all of them. Thread-safe.
/// </summary>
/// <param name="options">What it works by.</param>
/// <param name="loggers">Make loggers.</param>
internal sealed partial class ModelRegistry(ModelRegistryOptions options, ILoggerFactory loggers) : IModelAdministration, IAsyncDisposable
{
    private readonly ILogger _logger = loggers.CreateLogger<ModelRegistry>();
    private readonly SharedDevices _devices = new(loggers.CreateLogger<SharedDevices>());
    private readonly SemaphoreSlim _planning = new(1);
    private readonly Lock _lock = new();
    private readonly List<HostedModel> _models = [];
    private bool _isClosed;

    /// <summary>What the public interfaces see: models from the moment they are planned.</summary>
    public ServedModels Served { get; } = new();

    /// <summary>Every model is past its loading and has failed for good; false where there is none.</summary>
    public bool HasFailed => All is { Count: > 0 } all && all.All(model => !model.IsLoading && model.Host.Engine.State == EngineState.Failed);

    /// <summary>All models.</summary>
    public IReadOnlyList<HostedModel> All
    {
        get
        {
            lock (_lock)
            {
                return [.. _models];
            }
        }
    }

    /// <summary>
    /// Reads and plans models and promises them their devices; no weight is read. Several that can be evicted are planned together: each
    /// leaves out what the others need always.
    /// </summary>
    /// <param name="asked">The models, the default first.</param>
    /// <param name="progress">Makes what is told how the loading of so many workers gets on.</param>
    /// <param name="cancellationToken">Ends a device probe.</param>
    /// <exception cref="ModelExistsException">A name is taken.</exception>
    public async Task<IReadOnlyList<HostedModel>> PrepareAsync(
        IReadOnlyList<ModelArguments> asked, Func<int, IProgress<LoadProgress>> progress, CancellationToken cancellationToken)
    {
        await _planning.WaitAsync(cancellationToken);
        var added = new List<HostedModel>();
        try
        {
            var together = new List<(ModelArguments Arguments, PreparedModel Model)>();
            foreach (var arguments in asked.Where(arguments => arguments.Evictable && asked.Count > 1))
            {
                together.Add((arguments, await PlanAsync(arguments, [], cancellationToken)));
            }

            foreach (var arguments in asked)
            {
                List<SharedNeed> besides = [.. together
                    .Where(other => other.Arguments != arguments && added.TrueForAll(model => model.Name != other.Model.Name))
                    .Select(other => SharedNeed.Of(other.Model.Plan, evictable: true))];
                added.Add(Add(arguments, await PlanAsync(arguments, besides, cancellationToken), progress));
            }

            return added;
        }
        catch
        {
            foreach (var model in added)
            {
                await GiveUpAsync(model);
            }

            throw;
        }
        finally
        {
            _planning.Release();
        }
    }

    /// <summary>Starts a model's workers; returns when it serves. A model that fails is taken out again.</summary>
    /// <exception cref="WorkerLostException">A worker ended, failed or did not answer; no process is left.</exception>
    public async Task StartAsync(HostedModel model, CancellationToken cancellationToken)
    {
        try
        {
            await model.Host.StartAsync(cancellationToken);
            model.IsLoading = false;
        }
        catch (Exception exception)
        {
            await GiveUpAsync(model);
            if ((exception is OperationCanceledException || model.IsUnloading) && !cancellationToken.IsCancellationRequested)
            {
                throw new EngineUnavailableException($"The model {model.Name} was unloaded while it was loaded.");
            }

            Log.NotLoaded(_logger, model.Name, exception.Message);
            throw;
        }
    }

    /// <inheritdoc/>
    public async Task<ModelReport> LoadAsync(ModelLoading loading, CancellationToken cancellationToken)
    {
        var arguments = LoadArguments.Of(loading, options.Defaults, options.Roots);
        var model = (await PrepareAsync([arguments], _ => new Progress(), cancellationToken))[0];
        foreach (var notice in model.Host.Model.Notices)
        {
            Log.Notice(_logger, model.Name, notice);
        }

        await StartAsync(model, cancellationToken);
        Log.Loaded(_logger, model.Name);
        return Report(model);
    }

    /// <inheritdoc/>
    public async Task UnloadAsync(string name, TimeSpan? grace)
    {
        var model = Find(name);
        if (!model.TryUnload())
        {
            throw new EngineUnavailableException($"The model {name} is being unloaded already.");
        }

        try
        {
            // New requests do not find it; those that it has go on, also when the caller goes away.
            Served.Remove(model.Host.Served);
            try
            {
                await model.Host.DrainAsync(grace ?? options.Grace, CancellationToken.None);
            }
            finally
            {
                await EndAsync(model);
            }
        }
        catch
        {
            model.UnloadFailed();
            throw;
        }

        Log.Unloaded(_logger, model.Name);
    }

    /// <inheritdoc/>
    public IReadOnlyList<ModelReport> Models() => [.. All.Select(Report)];

    /// <inheritdoc/>
    public async Task<IReadOnlyList<ModelMemoryReport>> MemoryAsync(string? name, bool resetPeaks)
    {
        IReadOnlyList<HostedModel> asked = name is null ? All : [Find(name)];
        var reports = new List<ModelMemoryReport>();
        foreach (var model in asked)
        {
            reports.Add(await MemoryOfAsync(model, resetPeaks));
        }

        return reports;
    }

    /// <summary>Refuses new requests and finishes the accepted ones of all models at once; see <see cref="ModelHost.DrainAsync"/>.</summary>
    public Task DrainAsync(TimeSpan grace, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            _isClosed = true;
        }

        return Task.WhenAll(All.Select(model => model.Host.DrainAsync(grace, cancellationToken)));
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        lock (_lock)
        {
            _isClosed = true;
        }

        await Task.WhenAll(All.Select(EndAsync));
    }

    private static async Task<ModelMemoryReport> MemoryOfAsync(HostedModel model, bool resetPeaks)
    {
        if (model.IsLoading || model.Host.Groups.Current is not { } group)
        {
            return new ModelMemoryReport(model.Name, [], "The model is being loaded.");
        }

        try
        {
            return new ModelMemoryReport(model.Name, await group.MemoryAsync(resetPeaks));
        }
        catch (Exception exception) when (exception is WorkerLostException or ObjectDisposedException)
        {
            return new ModelMemoryReport(model.Name, [], exception is WorkerLostException ? exception.Message : "Its workers are being replaced.");
        }
    }

    private static ModelReport Report(HostedModel model) => new(
        model.Host.Model.RandomWeightsConfig ?? model.Host.Model.Folder,
        model.IsUnloading ? "unloading" : model.IsLoading ? "loading" : $"{model.Host.Engine.State}".ToLowerInvariant(),
        model.Shared.Place switch
        {
            ModelPlace.Devices => "devices",
            ModelPlace.Host => "host",
            _ => "none",
        },
        model.Host.Served.Info,
        model.Host.Engine.Statistics)
    {
        IsEvictable = model.Shared.IsEvictable,
        Evictions = model.Shared.Evictions,
        LastEviction = model.Shared.LastEviction,
        LastRestore = model.Shared.LastRestore,
    };

    private async Task<PreparedModel> PlanAsync(
        ModelArguments arguments, IReadOnlyList<SharedNeed> besides, CancellationToken cancellationToken)
    {
        try
        {
            return await PreparedModel.PrepareAsync(
                arguments,
                PreparationScope.Run,
                cancellationToken,
                devices => _devices.Offer(devices, arguments.Evictable, besides));
        }
        catch (PlanException exception) when (_devices.Holdings() is { } holdings)
        {
            // A budget that is smaller than the user's is not to be wondered at.
            throw new PlanException($"{exception.Message} {holdings}");
        }
    }

    private HostedModel Find(string name) => All.FirstOrDefault(model => model.Name == name)
        ?? throw new ModelNotFoundException(name, [.. All.Select(model => model.Name)]);

    private HostedModel Add(ModelArguments arguments, PreparedModel prepared, Func<int, IProgress<LoadProgress>> progress)
    {
        lock (_lock)
        {
            if (_isClosed)
            {
                throw new EngineUnavailableException("The server is shutting down.");
            }

            if (_models.Exists(other => other.Name == prepared.Name))
            {
                throw new ModelExistsException(prepared.Name);
            }

            var hostBudget = arguments.MaxMemory?.FirstOrDefault(budget => budget.Device == DeviceBudget.Cpu)?.Bytes;
            var need = SharedNeed.Of(prepared.Plan, arguments.Evictable, hostBudget);
            var shared = _devices.Add(prepared.Name, need, arguments.Evictable, HostMemory.Usable());
            try
            {
                var model = new HostedModel(
                    ModelHost.Create(prepared, arguments, progress(prepared.Plan.WorldSize), loggers, shared), shared);
                _models.Add(model);
                Served.Add(model.Host.Served);
                return model;
            }
            catch
            {
                shared.Remove();
                throw;
            }
        }
    }

    private async Task EndAsync(HostedModel model)
    {
        Served.Remove(model.Host.Served);
        await model.EndAsync();
        lock (_lock)
        {
            _models.Remove(model);
        }
    }

    // For a reason that the caller is told: what fails beside it is logged, and tried again when the registry is disposed.
    private async Task GiveUpAsync(HostedModel model)
    {
        try
        {
            await EndAsync(model);
        }
        catch (Exception exception)
        {
            Log.NotEnded(_logger, model.Name, exception);
        }
    }

    // Nobody watches a model that is loaded by a call.
    private sealed class Progress : IProgress<LoadProgress>
    {
        public void Report(LoadProgress value)
        {
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "{Model} is loaded.")]
        public static partial void Loaded(ILogger logger, string model);

        [LoggerMessage(2, LogLevel.Information, "{Model} is unloaded.")]
        public static partial void Unloaded(ILogger logger, string model);

        [LoggerMessage(3, LogLevel.Error, "{Model} could not be loaded: {Reason}")]
        public static partial void NotLoaded(ILogger logger, string model, string reason);

        [LoggerMessage(4, LogLevel.Warning, "{Model}: {Notice}")]
        public static partial void Notice(ILogger logger, string model, string notice);

        [LoggerMessage(5, LogLevel.Error, "{Model} could not be ended.")]
        public static partial void NotEnded(ILogger logger, string model, Exception exception);
    }
}
