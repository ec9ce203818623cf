using System.Collections.Concurrent;

namespace TensorParallel.Worker.Session;

/// <summary>
/// The one thread that touches a rank's model: runs what is posted, in order, until <see cref="Complete"/> or the first
/// exception. A background thread: one that hangs on a peer does not keep the process alive.
/// </summary>
internal sealed class ComputeThread : IDisposable
{
    private readonly Lock _gate = new();
    private readonly BlockingCollection<Action> _work = [];
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Thread _thread;
    private Func<bool>? _look;

    /// <summary>Starts the thread.</summary>
    public ComputeThread(int rank)
    {
        _thread = new Thread(Run) { IsBackground = true, Name = $"compute {rank}" };
        _thread.Start();
    }

    /// <summary>
    /// Completes when the thread has run everything after <see cref="Complete"/>; faults with what the work threw.
    /// </summary>
    public Task Ended => _ended.Task;

    /// <summary>
    /// Queues work; what comes after the first exception or <see cref="Complete"/> is dropped. Any thread.
    /// </summary>
    public void Post(Action work)
    {
        lock (_gate)
        {
            if (!_ended.Task.IsCompleted && !_work.IsAddingCompleted)
            {
                _work.Add(work);
            }
        }
    }

    /// <summary>
    /// From now on, whenever nothing is posted, the thread calls this again and again until it returns false, and does not sleep meanwhile:
    /// a device's end of a step is seen within a microsecond, where a thread that slept would take 0.1 to 0.3 ms to wake. Called by its own
    /// work; replaces what was watched before.
    /// </summary>
    public void Watch(Func<bool> look) => _look = look;

    /// <summary>No more work comes.</summary>
    public void Complete()
    {
        lock (_gate)
        {
            _work.CompleteAdding();
        }
    }

    /// <summary>Ends the thread once its present work is done; does not wait for that.</summary>
    public void Dispose() => Complete();

    private void Run()
    {
        try
        {
            while (Next() is { } work)
            {
                work();
            }

            _ended.TrySetResult();
        }
        catch (Exception exception)
        {
            // Handed to whoever awaits Ended: the session reports it to the coordinator and ends the process.
            _ended.TrySetException(exception);
        }
    }

    // Null after the last.
    private Action? Next()
    {
        var spin = default(SpinWait);
        while (_look is { } look && !_work.IsCompleted)
        {
            if (_work.TryTake(out var posted))
            {
                return posted;
            }

            if (look())
            {
                spin.SpinOnce(sleep1Threshold: -1); // lets others have the processor, but does not sleep
            }
            else
            {
                _look = null;
            }
        }

        return _work.TryTake(out var work, Timeout.Infinite) ? work : null;
    }
}
