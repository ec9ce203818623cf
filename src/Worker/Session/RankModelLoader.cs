using System.Globalization;
using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;
using TensorParallel.Worker.Collectives;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Execution;
using TensorParallel.Worker.Measuring;
using TensorParallel.Worker.Modules;
using TensorParallel.Worker.Offloading;
using TensorParallel.Worker.Ops;

namespace TensorParallel.Worker.Session;

/// <summary>Opens the rank's device, joins the collective, loads the model: the worker's composition root.</summary>
internal sealed class RankModelLoader : IRankModelLoader
{
    /// <inheritdoc/>
    public IRankModel Load(
        RankLoad load, BootstrapExchange bootstrap, Action<long, long> progress, CancellationToken cancellationToken)
    {
        var owned = new Stack<IDisposable>();
        try
        {
            var plan = load.Plan.Ranks[load.Rank];
            var parts = load.Plan.Mode == PlanMode.TensorParallel ? load.Plan.WorldSize : 1;
            var opening = new DeviceOpening(
                plan.Device, load.Threads, MemoryBudgetBytes: plan.BudgetBytes, Evictable: load.Evictable, Parts: parts);
            var backend = Own(load.Timeline.Measure("device", () => DeviceBackendCatalog.Open(opening)));
            var kernels = PrepareKernels(load, backend.Ops);
            if (load.Rank == 0 && backend.Warning is { } warning)
            {
                load.Warn(warning);
            }

            var device = backend.Device;
            var collective = Own(load.Timeline.Measure("collective", () => Join(load, bootstrap, device)));
            var times = load.TimeOperations ? Own(new OperationTimes(backend.Measuring)) : null;
            var context = Context(load, backend, collective, times);
            var model = Own(load.Timeline.Measure("model", () => WorkerModel.Load(
                load.ModelFolder,
                load.Plan,
                context,
                told => progress(told.BytesDone, told.BytesTotal),
                load.RandomWeights ? backend.Measuring : null,
                load.LoadThreads,
                load.Shards,
                new OffloadOptions { Threads = load.LoadThreads, ComputeThreads = load.Threads })));
            load.Timeline.Add("weights", model.LoadReport.Began, model.LoadReport.Duration);
            kernels.GetAwaiter().GetResult();
            backend.Ops.LoadPrepared();
            times?.Name(model.Weights);
            var measures = new RankMeasures(
                device, backend.Measuring, collective, backend.Ops.ActivationDType(load.Plan.DType), times);
            return new RankModel(model, measures, owned) { Notes = [.. Notes(collective), .. model.Notes] };
        }
        catch
        {
            RankModel.Free(owned);
            throw;
        }

        T Own<T>(T item)
            where T : IDisposable
        {
            owned.Push(item);
            return item;
        }
    }

    // Beside joining and reading: what is not on disk yet is compiled, which takes seconds.
    private static Task<int> PrepareKernels(RankLoad load, IDeviceOps ops) => Task.Factory.StartNew(
        () => load.Timeline.Measure("kernels", () => ops.Prepare(load.Plan.DType, HeadDims(load.ModelFolder), load.Threads)),
        CancellationToken.None,
        TaskCreationOptions.LongRunning,
        TaskScheduler.Default);

    private static int[] HeadDims(string model)
    {
        var config = ModelConfig.Load(Directory.Exists(model) ? Path.Combine(model, Checkpoint.ConfigFileName) : model);
        return [.. ArchitectureCatalog.Describe(config).Blocks.Select(block => block.Attention.HeadDim).Distinct()];
    }

    private static IReadOnlyList<string> Notes(ICollective collective) =>
    [
        $"{collective.Size} ranks joined by {collective.Name}",
        .. collective.Timings.Select(t => string.Create(
            CultureInfo.InvariantCulture, $"{t.Operation} of {t.Bytes / 1024} KiB, {t.Path}: {t.Microseconds:F2} us")),
    ];

    private static RankContext Context(
        RankLoad load, DeviceBackend backend, ICollective collective, OperationTimes? times) => new(
            load.Rank,
            load.Plan.WorldSize,
            backend.Device,
            times is null ? backend.Ops : new TimedOps(backend.Ops, times),
            backend.Sampling,
            times is null ? collective : new TimedCollective(collective, times),
            RecordsSteps: times is null)
        {
            Times = times,
        };

    private static ICollective Join(RankLoad load, BootstrapExchange bootstrap, IDevice device)
    {
        var backend = CollectiveCatalog.Create(load.Collective);
        using var _ = backend as IDisposable;
        if (load.Rank == 0)
        {
            // An upper bound of what is ever sent: every tensor that a collective is given stands in some rank's
            // workspace.
            var maxMessageBytes = load.Plan.Ranks.Max(rank => rank.WorkspaceBytes);
            bootstrap.Publish(backend.CreateBootstrap(load.Plan.WorldSize, maxMessageBytes));
        }

        return backend.Join(bootstrap.Receive(), load.Rank, load.Plan.WorldSize, device, load.CollectiveTimeout);
    }
}
