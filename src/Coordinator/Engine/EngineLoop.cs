using System.Threading.Channels;
using TensorParallel.Coordinator.Workers;

namespace TensorParallel.Coordinator.Engine;

/// <summary>
/// The single owner of scheduler, sequences and worker group. Everything that happens reaches it as an action through
/// one inbox, so nothing here locks; after each batch of actions it sends the steps that have become possible. Where it was idle, it runs
/// on the thread that brings the news: a prompt goes out on its request's thread and a token comes in on the worker stream's, for to wake
/// a thread that sleeps takes 0.1 to 0.3 ms each time.
/// </summary>
/// <param name="waiting">Requests that wait; places are reserved before <see cref="Enqueue"/>.</param>
/// <param name="starter">Replaces lost groups.</param>
/// <param name="microBatches">See <see cref="EngineOptions.MicroBatches"/>.</param>
/// <param name="time">Stamps tokens.</param>
/// <param name="logger">Losses and restarts.</param>
/// <param name="stateChanged">Told each new state, on the loop: must return quickly.</param>
/// <param name="stopping">Cancelled before <see cref="Stop"/>: ends a restart under way.</param>
internal sealed partial class EngineLoop(
    WaitingQueue waiting,
    WorkerGroupStarter starter,
    int? microBatches,
    TimeProvider time,
    ILogger logger,
    Action<EngineState> stateChanged,
    CancellationToken stopping)
{
    // Between two looks at what can be sent.
    private const int MostActions = 256;

    private const string ShuttingDown = "The server is shutting down; send the request to another one, or again later.";

    private readonly Channel<Action> _inbox = Channel.CreateUnbounded<Action>(
        new UnboundedChannelOptions { SingleReader = true, AllowSynchronousContinuations = true });

    private readonly TaskCompletionSource _drained = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly EngineCounters _counters = new();

    private StepPipeline? _pipeline;
    private IWorkerGroup? _group;
    private Task _restart = Task.CompletedTask;
    private readonly List<TaskCompletionSource> _suspending = [];
    private bool _isSuspended;
    private string? _refusal;
    private EngineState _state = EngineState.Starting;
    private EngineStatistics _statistics = new(EngineState.Starting, 0, 0, 0, 0, 0, 0, 0, 0);

    /// <summary>Completes when requests are refused and none is left to finish.</summary>
    public Task Drained => _drained.Task;

    /// <summary>Counters after the last tick; thread-safe.</summary>
    public EngineStatistics Statistics => Volatile.Read(ref _statistics) with { Waiting = waiting.Count };

    /// <summary>Why requests are refused; null while they are accepted. Thread-safe.</summary>
    public string? Refusal => Volatile.Read(ref _refusal);

    /// <summary>A new request, whose place in the queue is reserved. Thread-safe.</summary>
    public void Enqueue(Sequence sequence)
    {
        if (!Post(() => OnEnqueue(sequence)))
        {
            waiting.Unreserve();
            sequence.End(new EngineUnavailableException(Refusal ?? ShuttingDown));
        }
    }

    /// <summary>The reader needs no more tokens. Thread-safe; without effect on a sequence that has ended.</summary>
    public void End(Sequence sequence) => Post(() => OnEnd(sequence));

    /// <summary>
    /// The first group is there; completes once steps can run. False when the loop has stopped: the group is still the
    /// caller's. Thread-safe.
    /// </summary>
    public async Task<bool> AttachAsync(IWorkerGroup group)
    {
        var attached = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var posted = Post(() =>
        {
            OnAttach(group);
            attached.SetResult();
        });
        if (posted)
        {
            await attached.Task;
        }

        return posted;
    }

    /// <summary>
    /// There is no group to be had: every request, now and later, fails with the reason. Thread-safe.
    /// </summary>
    public void Fail(EngineUnavailableException reason, LogLevel level = LogLevel.Critical) => Post(() => OnFail(reason, level));

    /// <summary>See <see cref="InferenceEngine.SuspendAsync"/>. Thread-safe.</summary>
    public Task SuspendAsync()
    {
        var suspended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        return Post(() => _suspending.Add(suspended)) ? suspended.Task : Task.CompletedTask;
    }

    /// <summary>Steps are sent again. Thread-safe.</summary>
    public void Resume() => Post(() => _isSuspended = false);

    /// <summary>Refuses new requests from now on and finishes the accepted ones. Thread-safe.</summary>
    public void Drain() => Post(OnDrain);

    /// <summary>Ends what is left and lets <see cref="RunAsync"/> return. Thread-safe.</summary>
    public void Stop()
    {
        Post(OnStop);
        _inbox.Writer.TryComplete();
    }

    /// <summary>Runs until <see cref="Stop"/>; then no group is left.</summary>
    public async Task RunAsync()
    {
        while (await _inbox.Reader.WaitToReadAsync().ConfigureAwait(false))
        {
            try
            {
                Tick();
            }
            catch (Exception exception)
            {
                // A fault of the engine itself: nobody may be left waiting for an answer that never comes.
                Log.EngineFault(logger, exception);
                OnFail(new EngineUnavailableException($"The engine failed: {exception.Message} Restart the server."));
            }

            if (_inbox.Reader.TryPeek(out _))
            {
                // Whoever brought the first news has something else to do than to run the engine for those who bring more.
                await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
            }
        }

        _suspending.ForEach(suspended => suspended.TrySetResult());
        await _restart;
        if (_group is not null)
        {
            await starter.DisposeAsync(_group);
        }

        SetState(EngineState.Stopped);
    }

    private void Tick()
    {
        for (var left = MostActions; left > 0 && _inbox.Reader.TryRead(out var action); left--)
        {
            action();
        }

        if (!_isSuspended)
        {
            _pipeline?.SendAhead();
        }

        if (_suspending.Count > 0 && _pipeline is not { IsIdle: false })
        {
            _isSuspended = true;
            _suspending.ForEach(suspended => suspended.TrySetResult());
            _suspending.Clear();
        }

        PublishStatistics();
        if (_refusal is not null && waiting.Count == 0 && _pipeline is not { IsIdle: false })
        {
            _drained.TrySetResult();
        }
    }

    private void OnEnqueue(Sequence sequence)
    {
        var unavailable = _refusal is null ? null : new EngineUnavailableException(_refusal);
        if (((Exception?)unavailable ?? ProblemOf(sequence)) is { } error)
        {
            waiting.Unreserve();
            sequence.End(error);
        }
        else
        {
            waiting.Enqueue(sequence);
        }
    }

    private RequestException? ProblemOf(Sequence sequence) =>
        _pipeline?.Scheduler.Refuse(sequence.Request) is { } problem ? new RequestException([problem]) : null;

    private void OnEnd(Sequence sequence)
    {
        if (waiting.Remove(sequence) || _pipeline is null)
        {
            sequence.End(null);
        }
        else
        {
            _pipeline.Scheduler.End(sequence, null);
        }
    }

    private void OnAttach(IWorkerGroup group)
    {
        _group = group;
        var scheduler = new Scheduler(
            group.Plan.Limits,
            waiting,
            MicroBatches.Of(group.Plan, microBatches),
            MicroBatches.IsOneStageAtATime(group.Plan, microBatches));
        _pipeline = new StepPipeline(group, scheduler, _counters, time, () => Post(CompleteSteps));
        waiting.EndWhere(ProblemOf);
        _ = PostWhenLostAsync(group);
        SetState(EngineState.Ready);
    }

    private async Task PostWhenLostAsync(IWorkerGroup group)
    {
        var reason = await group.Lost;
        Post(() =>
        {
            CompleteSteps();
            if (_pipeline?.Group == group)
            {
                OnLost(_pipeline, reason);
            }
        });
    }

    private void CompleteSteps()
    {
        var pipeline = _pipeline;
        try
        {
            if (pipeline is not null && pipeline.Complete())
            {
                starter.MarkHealthy();
            }
        }
        catch (Exception exception)
        {
            OnLost(pipeline!, exception);
        }
    }

    private void OnLost(StepPipeline pipeline, Exception exception)
    {
        // A group that breaks its contract (a wrong answer) is as useless as a lost one, but no rank is to blame.
        var reason = exception as WorkerLostException
            ?? new WorkerLostException(-1, $"The worker group failed: {exception.Message}");
        Log.GroupLost(logger, reason.Rank, exception);
        pipeline.Scheduler.Abandon(() => new WorkerLostException(reason.Rank, reason.Message));
        _pipeline = null;
        _group = null;
        SetState(EngineState.Restarting);
        _restart = RestartAsync(pipeline.Group, reason);
    }

    private async Task RestartAsync(IWorkerGroup lost, WorkerLostException reason)
    {
        try
        {
            var group = await starter.ReplaceAsync(lost, reason, stopping);
            if (!Post(() => OnRestarted(group)))
            {
                await starter.DisposeAsync(group);
            }
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            Log.RestartAbandoned(logger);
        }
        catch (EngineUnavailableException exception)
        {
            Fail(exception);
        }
    }

    private void OnRestarted(IWorkerGroup group)
    {
        _counters.Restarts++;
        Log.GroupRestarted(logger, _counters.Restarts);
        OnAttach(group);
    }

    private void OnDrain()
    {
        Refuse(ShuttingDown);
        SetState(EngineState.Draining);
    }

    private void OnStop()
    {
        Refuse(ShuttingDown);
        EndAll("The server was shut down before the request was finished.");
    }

    private void OnFail(EngineUnavailableException reason, LogLevel level = LogLevel.Critical)
    {
        Log.Failed(logger, level, reason.Message);
        Refuse(reason.Message);
        EndAll(reason.Message);
        SetState(EngineState.Failed);
        PublishStatistics();
    }

    private void EndAll(string reason)
    {
        waiting.EndWhere(_ => new EngineUnavailableException(reason));
        _pipeline?.Scheduler.Abandon(() => new EngineUnavailableException(reason));
        _pipeline = null;
    }

    private void Refuse(string why) => Volatile.Write(ref _refusal, _refusal ?? why);

    private void SetState(EngineState state)
    {
        // Draining and Failed are not left by a group that comes or goes.
        var isLasting = _state is EngineState.Draining or EngineState.Failed
            && state is EngineState.Ready or EngineState.Restarting;
        if (state == _state || isLasting || (_state, state) == (EngineState.Failed, EngineState.Draining))
        {
            return;
        }

        _state = state;
        PublishStatistics();
        try
        {
            stateChanged(state);
        }
        catch (Exception exception)
        {
            // A listener's fault must not take the requests with it.
            Log.ListenerFault(logger, state, exception);
        }
    }

    private void PublishStatistics()
    {
        var scheduler = _pipeline?.Scheduler;
        var statistics = new EngineStatistics(
            _state, scheduler?.Running ?? 0, 0, _counters.Steps, _counters.PromptTokens, _counters.GeneratedTokens,
            scheduler?.FreeSlots ?? 0, scheduler?.FreeBlocks ?? 0, _counters.Restarts);
        Volatile.Write(ref _statistics, statistics);
    }

    private bool Post(Action action) => _inbox.Writer.TryWrite(action);

    private static partial class Log
    {
        [LoggerMessage(
            LogLevel.Error, "The worker group was lost (rank {Rank}); running requests fail, waiting ones are kept.")]
        public static partial void GroupLost(ILogger logger, int rank, Exception exception);

        [LoggerMessage(LogLevel.Information, "The worker group was started again (restart {Restart}).")]
        public static partial void GroupRestarted(ILogger logger, int restart);

        [LoggerMessage(LogLevel.Information, "The restart of the worker group was abandoned: the engine stops.")]
        public static partial void RestartAbandoned(ILogger logger);

        [LoggerMessage("No request can be served any more: {Reason}")]
        public static partial void Failed(ILogger logger, LogLevel level, string reason);

        [LoggerMessage(LogLevel.Error, "A listener failed on the engine's change to {State}.")]
        public static partial void ListenerFault(ILogger logger, EngineState state, Exception exception);

        [LoggerMessage(LogLevel.Critical, "The engine loop failed.")]
        public static partial void EngineFault(ILogger logger, Exception exception);
    }
}
