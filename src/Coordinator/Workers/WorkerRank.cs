using TensorParallel.Coordinator.Launching;
using TensorParallel.Protocol.Parallel;
using TensorParallel.Protocol.Wire;
using TensorParallel.Protocol.Wire.Frames;
using TensorParallel.Protocol.Wire.Workers;

namespace TensorParallel.Coordinator.Workers;

/// <summary>
/// One rank as the coordinator sees it: a process and a stream. Everything that ends either is reported to
/// <see cref="GroupLoss"/>, in words. Thread-safe.
/// </summary>
internal sealed class WorkerRank(RankPlan plan, StepLedger ledger, GroupLoss loss, IProgress<LoadProgress> progress)
    : IAsyncDisposable
{
    private const int ToldLines = 5;

    // The stream may still hold the reason when the process is gone, and the exit code comes after the stream's end.
    private static readonly TimeSpan s_otherEnd = TimeSpan.FromSeconds(1);

    private readonly TaskCompletionSource<WorkerConnection> _connected = New<WorkerConnection>();
    private readonly TaskCompletionSource<byte[]> _bootstrap = New<byte[]>();
    private readonly TaskCompletionSource<Loaded> _loaded = New<Loaded>();
    private readonly TaskCompletionSource<string?> _streamEnded = New<string?>();
    private readonly RankQuestion<Measured> _measured = new();
    private readonly RankQuestion<MemoryReport> _memory = new();
    private readonly RankQuestion<Moved> _moved = new();
    private IWorkerProcess? _process;
    private volatile bool _failed;
    private long _lastSign = TimeProvider.System.GetTimestamp();
    private long _bytesDone = -1;
    private long _peakResidentBytes;

    /// <summary>The rank.</summary>
    public int Rank => plan.Rank;

    /// <summary>Its device.</summary>
    public string Device => plan.Device;

    /// <summary>The stream, once the worker has said hello.</summary>
    public Task<WorkerConnection> Connected => _connected.Task;

    /// <summary>The collective's bootstrap blob, from the rank that makes it.</summary>
    public Task<byte[]> Bootstrap => _bootstrap.Task;

    /// <summary>The report of the rank when it is ready.</summary>
    public Task<Loaded> Loaded => _loaded.Task;

    /// <summary>Time since the rank last showed that it gets on with loading.</summary>
    public TimeSpan Silence => TimeProvider.System.GetElapsedTime(Volatile.Read(ref _lastSign));

    /// <summary>Most memory the process has had resident, as last told.</summary>
    public long PeakResidentBytes => Volatile.Read(ref _peakResidentBytes);

    /// <summary>Completes when the process has ended; completed when none was started.</summary>
    public Task Exited => _process?.Exited ?? Task.CompletedTask;

    /// <summary>Takes over the rank's process.</summary>
    public void Attach(IWorkerProcess process)
    {
        _process = process;
        _ = WatchAsync(process);
    }

    /// <summary>Takes the rank's stream; false when there is one.</summary>
    public bool TryConnect(WorkerConnection connection)
    {
        Sign();
        return _connected.TrySetResult(connection);
    }

    /// <summary>Takes in what the stream brings, on the calling thread, until it ends. Call once, after <see cref="TryConnect"/>.</summary>
    public void Serve()
    {
        try
        {
            _streamEnded.TrySetResult(_connected.Task.Result.Run(Receive));
        }
        catch (Exception exception)
        {
            // Whatever it is: the rank is of no use any more, and nobody may be left waiting for it.
            Lose(exception is WireException
                ? $"broke the protocol: {exception.Message}"
                : $"sent what could not be taken in ({exception.GetType().Name}): {exception.Message}");
            _streamEnded.TrySetResult(exception.Message);
        }
    }

    /// <summary>Sends the load command; from now on silence counts.</summary>
    public void Load(WorkerCommand load)
    {
        Sign();
        Post(load);
    }

    /// <summary>Sends a command to the rank; it goes nowhere when the rank has not connected.</summary>
    public void Post(WorkerCommand command) => Post(new MessageFrame(command));

    /// <summary>The same of a command that goes to all ranks.</summary>
    public void Post(MessageFrame command)
    {
        if (_connected.Task.IsCompletedSuccessfully)
        {
            _connected.Task.Result.Post(command);
        }
    }

    /// <summary>Asks for figures; one question at a time. Does not end when the rank is lost.</summary>
    public Task<Measured> MeasureAsync(WorkerCommand measure) => Ask(_measured, measure);

    /// <summary>The same for a memory report.</summary>
    public Task<MemoryReport> ReportMemoryAsync(WorkerCommand report) => Ask(_memory, report);

    /// <summary>The same for an eviction or its undoing.</summary>
    public Task<Moved> MoveAsync(WorkerCommand move) => Ask(_moved, move);

    /// <summary>Reports the loss of this rank.</summary>
    /// <param name="what">Follows "rank 1 (cpu:1, process 4711) …".</param>
    /// <param name="consequence">See <see cref="GroupLoss.Report"/>.</param>
    public void Lose(string what, bool consequence = false)
    {
        var process = _process is null ? "not started" : $"process {_process.ProcessId}";
        loss.Report(Rank, $"Rank {Rank} ({Device}, {process}) {what}", consequence);
    }

    /// <summary>Ends the process at once.</summary>
    public void Kill() => _process?.Kill();

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _process?.DisposeAsync() ?? ValueTask.CompletedTask;

    private Task<T> Ask<T>(RankQuestion<T> question, WorkerCommand command)
    {
        var answer = question.Open();
        Post(command);
        return answer;
    }

    private static TaskCompletionSource<T> New<T>() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private void Receive(WorkerEvent message)
    {
        switch (message.EventCase)
        {
            case WorkerEvent.EventOneofCase.Bootstrap:
                _bootstrap.TrySetResult(message.Bootstrap.Blob.ToByteArray());
                break;
            case WorkerEvent.EventOneofCase.Progress:
                Report(message.Progress);
                break;
            case WorkerEvent.EventOneofCase.Loaded:
                Volatile.Write(ref _peakResidentBytes, message.Loaded.PeakResidentBytes);
                _loaded.TrySetResult(message.Loaded);
                break;
            case WorkerEvent.EventOneofCase.Result:
                var result = WireMapping.ToRecord(message.Result);
                Volatile.Write(ref _peakResidentBytes, message.Result.PeakResidentBytes);
                ledger.Answer(Rank, result);
                break;
            case WorkerEvent.EventOneofCase.Measured:
                Answered(_measured.TryAnswer(message.Measured), "figures");
                break;
            case WorkerEvent.EventOneofCase.Memory:
                Volatile.Write(ref _peakResidentBytes, message.Memory.PeakResident);
                Answered(_memory.TryAnswer(message.Memory), "a memory report");
                break;
            case WorkerEvent.EventOneofCase.Moved:
                Answered(_moved.TryAnswer(message.Moved), "the end of an eviction or of its undoing");
                break;
            case WorkerEvent.EventOneofCase.Failed:
                _failed = true;
                Lose($"failed {Activity()}: {message.Failed.Message}", message.Failed.WaitingForPeer);
                break;
            default:
                throw new WireException($"It sent an event of kind {message.EventCase}.");
        }
    }

    private static void Answered(bool wasAsked, string what)
    {
        if (!wasAsked)
        {
            throw new WireException($"It sent {what}, for which it was not asked.");
        }
    }

    private void Report(Protocol.Wire.Workers.LoadProgress told)
    {
        if (told.BytesDone > _bytesDone)
        {
            _bytesDone = told.BytesDone;
            Sign();
            progress.Report(new LoadProgress(Rank, told.BytesDone, told.BytesTotal));
        }
    }

    private void Sign() => Volatile.Write(ref _lastSign, TimeProvider.System.GetTimestamp());

    private async Task WatchAsync(IWorkerProcess process)
    {
        await Task.WhenAny(process.Exited, _streamEnded.Task);
        var activity = Activity();
        Task other = _connected.Task.IsCompleted ? Task.WhenAll(process.Exited, _streamEnded.Task) : process.Exited;
        await Task.WhenAny(other, Task.Delay(s_otherEnd));
        if (_failed)
        {
            return; // the rank has said why itself; its end is no news
        }

        var what = process.Exited.IsCompleted
            ? process.Exited.Result.Words
            : $"has closed its stream ({_streamEnded.Task.Result ?? "without a reason"})";
        var lines = process.LastErrorLines();
        var tail = lines.Count == 0 ? "" : $"; its last lines: {string.Join(" | ", lines.TakeLast(ToldLines))}";
        Lose($"{what} {activity}{tail}");
    }

    private string Activity() =>
        !_connected.Task.IsCompleted ? "before it connected"
        : !_loaded.Task.IsCompleted ? "while loading"
        : ledger.Oldest() is { } step ? $"in step {step.Step}"
        : "while idle";
}
