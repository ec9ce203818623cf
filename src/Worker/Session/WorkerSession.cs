using Microsoft.Extensions.Logging;
using TensorParallel.Protocol.Generation;
using TensorParallel.Protocol.Wire;
using TensorParallel.Protocol.Wire.Workers;
using TensorParallel.Worker.Collectives;
using StepResult = TensorParallel.Protocol.Generation.StepResult;

namespace TensorParallel.Worker.Session;

/// <summary>
/// A worker's life: Hello, Load, steps, Stop. The receive loop only takes commands in; everything that touches the
/// model runs on the compute thread, so the end of the stream is seen in the middle of a load, a step or a collective.
/// </summary>
internal sealed partial class WorkerSession(
    CoordinatorLink link,
    WorkerIdentity identity,
    IRankModelLoader loader,
    ILogger<WorkerSession> logger,
    StartTimeline? timeline = null)
{
    private static readonly TimeSpan s_farewell = TimeSpan.FromSeconds(1);

    private readonly Action<WorkerEvent> _post = link.Post;
    private readonly StartTimeline _timeline = timeline ?? new StartTimeline();
    private CancellationToken _lost;
    private BootstrapExchange? _bootstrap;
    private StepLimits? _limits;
    private IRankModel? _model; // compute thread only
    private StepAnswers? _answers; // compute thread only
    private bool _isEvicted; // compute thread only

    /// <summary>Runs until the session ends; call once. Whatever ends it is logged and, where possible, sent.</summary>
    public async Task<SessionEnd> RunAsync()
    {
        _post(new WorkerEvent
        {
            Hello = new Hello { Rank = identity.Rank, ProcessId = Environment.ProcessId, Secret = identity.Secret },
        });
        _timeline.AddSinceProcessStart("process");
        using var lost = new CancellationTokenSource();
        _lost = lost.Token;
        using var compute = new ComputeThread(identity.Rank);
        // A thread that waits in the system: a command wakes it and then the compute thread, and no others on the way.
        var receiving = Task.Factory.StartNew(
            () => Receive(compute), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        try
        {
            var first = await Task.WhenAny(receiving, compute.Ended);
            await first;
            if (first == receiving)
            {
                await lost.CancelAsync();
                Log.CoordinatorLost(logger, link.LossReason ?? "the stream ended");
                return SessionEnd.CoordinatorLost;
            }

            await FarewellAsync(receiving);
            return SessionEnd.Stopped;
        }
        catch (Exception exception)
        {
            Log.Failed(logger, exception);
            _post(new WorkerEvent
            {
                Failed = new Failed
                {
                    Message = Describe(exception),
                    WaitingForPeer = exception is CollectiveException,
                },
            });
            await FarewellAsync(receiving);
            return SessionEnd.Failed;
        }
    }

    /// <summary>
    /// Takes commands in until the stream ends; also while the compute thread works off what came before a stop.
    /// </summary>
    private void Receive(ComputeThread compute)
    {
        while (link.Read() is { } command)
        {
            switch (command.CommandCase)
            {
                case WorkerCommand.CommandOneofCase.Load:
                    Accept(command.Load, compute);
                    break;
                case WorkerCommand.CommandOneofCase.Bootstrap:
                    if (_bootstrap is null || !_bootstrap.TryDeliver(command.Bootstrap.Blob.ToByteArray()))
                    {
                        throw new WireException("A bootstrap blob came before the load command or a second time.");
                    }

                    break;
                case WorkerCommand.CommandOneofCase.Step:
                    var batch = WireMapping.ToRecord(
                        command.Step, _limits ?? throw new WireException("A step came before the load command."));
                    compute.Post(() => Step(batch));
                    break;
                case WorkerCommand.CommandOneofCase.Measure:
                    var request = command.Measure.ToRequest();
                    compute.Post(() => Measure(request));
                    break;
                case WorkerCommand.CommandOneofCase.ReportMemory:
                    var reset = command.ReportMemory.ResetPeaks;
                    compute.Post(() => ReportMemory(reset));
                    break;
                case WorkerCommand.CommandOneofCase.Evict:
                    compute.Post(() => Move(evict: true));
                    break;
                case WorkerCommand.CommandOneofCase.Restore:
                    compute.Post(() => Move(evict: false));
                    break;
                case WorkerCommand.CommandOneofCase.Stop:
                    compute.Post(Stop);
                    compute.Complete();
                    break;
                default:
                    throw new WireException($"The coordinator sent an unknown command ({command.CommandCase}).");
            }
        }
    }

    /// <summary>
    /// Closes this side and waits until the coordinator closes its own: a process that ends sooner takes with it what the socket had no room
    /// for yet.
    /// </summary>
    private async Task FarewellAsync(Task receiving)
    {
        link.Complete();
        await Task.WhenAny(DrainAsync(receiving), Task.Delay(s_farewell));
    }

    private async Task DrainAsync(Task receiving)
    {
        await receiving.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await Task.Run(() =>
        {
            while (link.Read() is not null)
            {
                // Commands after the end are nobody's any more.
            }
        });
    }

    private void Accept(Load message, ComputeThread compute)
    {
        if (_limits is not null)
        {
            throw new WireException("A second load command came.");
        }

        var load = message.ToRankLoad(identity.Rank) with
        {
            Timeline = _timeline,
            Warn = message => Log.Warned(logger, message),
        };
        _limits = load.Plan.Limits;
        _bootstrap = new BootstrapExchange(_post, _lost);
        compute.Post(() => Load(load, compute));
    }

    private void Load(RankLoad load, ComputeThread compute)
    {
        var started = TimeProvider.System.GetTimestamp();
        var progress = new LoadProgressReporter(_post, TimeProvider.System);
        _model = loader.Load(load, _bootstrap!, progress.Report, _lost);
        _answers = new StepAnswers(compute, Answer);
        var elapsed = TimeProvider.System.GetElapsedTime(started);
        Log.Loaded(logger, _model.BytesRead / 1e6, elapsed.TotalSeconds);
        foreach (var note in _model.Notes)
        {
            Log.Note(logger, note);
        }

        var loaded = new Loaded
        {
            BytesRead = _model.BytesRead,
            Microseconds = (long)elapsed.TotalMicroseconds,
            PeakResidentBytes = ProcessCalls.PeakResidentBytes(),
        };
        loaded.Parts.Add(_timeline.Parts.Select(part => new Protocol.Wire.Workers.StartPart
        {
            Name = part.Name,
            Microseconds = (long)part.Duration.TotalMicroseconds,
            BeganMicroseconds = (long)TimeProvider.System.GetElapsedTime(0, part.Began).TotalMicroseconds,
        }));
        foreach (var use in _model.MemoryUse())
        {
            loaded.Memory.Add(
                new MemoryUse { Purpose = use.Purpose.ToString(), Current = use.Current, Peak = use.Peak });
        }

        _post(new WorkerEvent { Loaded = loaded });
    }

    private void Step(StepBatch batch) => _answers!.Add(
        _isEvicted ? throw new WireException($"Step {batch.Step} came while the model is evicted.") : _model!.Issue(batch));

    private void Answer(StepResult result) =>
        _post(new WorkerEvent { Result = WireMapping.ToWire(result, ProcessCalls.PeakResidentBytes()) });

    private void Stop()
    {
        _answers?.Close();
        _model?.Dispose();
    }

    private void Measure(MeasureRequest request)
    {
        var model = _model ?? throw new WireException("A measure command came before the load command.");
        _post(model.Measure(request).ToEvent());
    }

    // Our own exceptions are sentences already; others say too little without their kind ("Specified cast is not
    // valid"). Of several the first is the cause, as a rule, and the others follow from it; the log has all.
    private static string Describe(Exception exception) =>
        exception is AggregateException { InnerExceptions: [var only] } ? Describe(only)
        : exception is AggregateException { InnerExceptions: [var first, ..] all } ? $"{Describe(first)} (The first of {all.Count} errors.)"
        : exception.GetType().Namespace?.StartsWith(nameof(TensorParallel), StringComparison.Ordinal) == true
            ? exception.Message
            : $"{exception.GetType().Name}: {exception.Message}";

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Debug, "loaded {Megabytes:F1} MB in {Seconds:F2} s")]
        public static partial void Loaded(ILogger logger, double megabytes, double seconds);

        [LoggerMessage(4, LogLevel.Debug, "{Note}")]
        public static partial void Note(ILogger logger, string note);

        [LoggerMessage(2, LogLevel.Error, "failed")]
        public static partial void Failed(ILogger logger, Exception exception);

        [LoggerMessage(4, LogLevel.Warning, "{Message}")]
        public static partial void Warned(ILogger logger, string message);

        [LoggerMessage(3, LogLevel.Error, "the coordinator is gone: {Reason}")]
        public static partial void CoordinatorLost(ILogger logger, string reason);
    }
}
