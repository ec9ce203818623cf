using System.Security.Cryptography;
using Google.Protobuf;
using TensorParallel.Coordinator.Launching;
using TensorParallel.Protocol.Parallel;
using TensorParallel.Protocol.Wire.Workers;

namespace TensorParallel.Coordinator.Workers;

/// <summary>Starts the processes of a plan, has them load and join, and hands them over as one group.</summary>
internal sealed partial class WorkerGroupFactory(
    WorkerGroupOptions options, IWorkerLauncher launcher, IProgress<LoadProgress> progress, ILoggerFactory loggers)
    : IWorkerGroupFactory
{
    private readonly ILogger _logger = loggers.CreateLogger<WorkerGroupFactory>();

    /// <inheritdoc/>
    public async Task<IWorkerGroup> StartAsync(CancellationToken cancellationToken) =>
        await StartGroupAsync(cancellationToken);

    /// <summary>
    /// <see cref="StartAsync"/>, with what only this kind of group can tell: load summary and memory.
    /// </summary>
    public async Task<WorkerGroup> StartGroupAsync(CancellationToken cancellationToken)
    {
        var started = TimeProvider.System.GetTimestamp();
        var secret = RandomNumberGenerator.GetHexString(64);
        var ledger = new StepLedger(options.Plan.WorldSize, TimeProvider.System);
        var loss = new GroupLoss();
        var ranks = options.Plan.Ranks.Select(rank => new WorkerRank(rank, ledger, loss, progress)).ToArray();
        var hub = new WorkerHub(new HubAdmission(secret, ranks, options.HelloTimeout), loggers);
        var group = new WorkerGroup(options, ranks, hub, ledger, loss);
        try
        {
            foreach (var rank in ranks)
            {
                rank.Attach(launcher.Start(new WorkerLaunch(rank.Rank, hub.Address, secret, rank.Device)));
            }

            var processes = TimeSpan.Zero;
            var reports = await LoadAsync(
                ranks, hub, loss, () => processes = TimeProvider.System.GetElapsedTime(started), cancellationToken);
            var summary = new LoadSummary(
                TimeProvider.System.GetElapsedTime(started), [.. ranks.Zip(reports, Summarise)])
            {
                Began = TimeProvider.System.GetElapsedTime(0, started),
                Processes = processes,
            };
            group.LoadSummary = summary;
            var (megabytes, seconds) = (summary.BytesRead / 1e6, summary.Elapsed.TotalSeconds);
            Log.Ready(_logger, ranks.Length, megabytes, seconds, summary.GigabytesPerSecond);
            Log.Parts(_logger, summary.PartsText());
            return group;
        }
        catch
        {
            await group.DisposeAsync();
            throw;
        }
    }

    private static RankLoadSummary Summarise(WorkerRank rank, Loaded loaded) =>
        new(
            rank.Rank,
            rank.Device,
            loaded.BytesRead,
            TimeSpan.FromMicroseconds(loaded.Microseconds),
            [.. loaded.Parts.Select(part => new StartPartSummary(
                part.Name, TimeSpan.FromMicroseconds(part.BeganMicroseconds), TimeSpan.FromMicroseconds(part.Microseconds)))],
            [.. loaded.Memory.Select(use => new RankMemory(use.Purpose, use.Current, use.Peak))],
            loaded.PeakResidentBytes);

    private async Task<Loaded[]> LoadAsync(
        WorkerRank[] ranks, WorkerHub hub, GroupLoss loss, Action connected, CancellationToken cancellationToken)
    {
        var wait = new StageWait(loss, cancellationToken);
        await wait.AllAsync(ranks, rank => rank.Connected, options.HelloTimeout, "has not connected");
        connected();
        hub.CloseDoor();
        var load = new WorkerCommand
        {
            Load = new Load
            {
                ModelFolder = options.ModelFolder,
                PlanJson = PlanJson.Serialize(options.Plan),
                Collective = options.Collective,
                CollectiveTimeoutMs = checked((int)options.CollectiveTimeout.TotalMilliseconds),
                Threads = options.Threads,
                LoadThreads = options.LoadThreads,
                RandomWeights = options.RandomWeights,
                TimeOperations = options.TimeOperations,
                Evictable = options.Evictable,
            },
        };
        if (options.ShardFolder is { } shards)
        {
            load.Load.ShardFolder = shards;
        }

        Array.ForEach(ranks, rank => rank.Load(load));

        var stall = options.LoadStallTimeout;
        var blobs = await wait.AllAsync(ranks[..1], rank => rank.Bootstrap, stall, "has made no bootstrap blob");
        var bootstrap = new WorkerCommand { Bootstrap = new Bootstrap { Blob = ByteString.CopyFrom(blobs[0]) } };
        Array.ForEach(ranks, rank => rank.Post(bootstrap));
        return await wait.AllAsync(ranks, rank => rank.Loaded, stall, "has not got on with loading");
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information,
            "{Ranks} workers are ready: {Megabytes:F1} MB of weights in {Seconds:F2} s, read at {Rate:F2} GB/s")]
        public static partial void Ready(ILogger logger, int ranks, double megabytes, double seconds, double rate);

        [LoggerMessage(2, LogLevel.Information, "start: {Parts}")]
        public static partial void Parts(ILogger logger, string parts);
    }
}
