using System.Diagnostics;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Native;
using static TensorParallel.Worker.Native.CudaDriver;
using Library = TensorParallel.Worker.Native.Nccl;

namespace TensorParallel.Worker.Collectives.Nccl;

/// <summary>
/// This rank's NCCL communicator under watch. Calls only queue work on the GPU's stream, and NCCL's kernels wait there for peers
/// without end; a thread looks after them (and after replays of graphs that hold calls, each as a whole): when one makes no progress
/// for the timeout, or NCCL reports an error, it aborts the communicator. The kernels then end, whatever waits for the stream goes on
/// with meaningless data, and <see cref="ThrowIfFailed"/> and every later call throw. Calls come from one thread. Graphs that hold
/// calls are to be disposed before this.
/// </summary>
internal sealed unsafe class NcclCommunicator : IDisposable
{
    private const int MostPending = 256;
    private static readonly TimeSpan s_poll = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan s_disposePatience = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan s_abortPatience = TimeSpan.FromSeconds(10);

    private readonly CudaDevice _device;
    private readonly TimeSpan _timeout;
    private readonly Lock _lock = new();
    private readonly Queue<NcclCall> _pending = [];
    private readonly Stack<nint> _freeEvents = [];
    private readonly ManualResetEventSlim _stop = new();
    private readonly Thread _watchdog;
    private nint _handle;
    private nint _broken;
    private NcclCall? _inside;
    private long _calls;
    private long _lastProgress;
    private volatile string? _failure;

    private NcclCommunicator(nint handle, int rank, int size, CudaDevice device, TimeSpan timeout)
    {
        (_handle, Rank, Size, _device, _timeout) = (handle, rank, size, device, timeout);
        device.MakeCurrent();
        for (var i = 0; i < MostPending; i++)
        {
            nint created;
            Check(cuEventCreate(&created, CU_EVENT_DISABLE_TIMING));
            _freeEvents.Push(created);
        }

        _watchdog = new Thread(Watch) { IsBackground = true, Name = $"nccl watchdog {rank}" };
        _watchdog.Start();
    }

    public int Rank { get; }

    public int Size { get; }

    /// <summary>
    /// Joins the group. NCCL's own call has no limit: it is made on a thread that is left behind when it lasts too long, for
    /// the process to end with.
    /// </summary>
    /// <exception cref="CollectiveException">A peer did not come in time, or NCCL refuses.</exception>
    public static NcclCommunicator Join(
        Library.ncclUniqueId id, int rank, int size, CudaDevice device, TimeSpan timeout)
    {
        if (Library.UnavailableReason is { } reason)
        {
            throw new CollectiveException(reason);
        }

        var joined = new TaskCompletionSource<nint>(TaskCreationOptions.RunContinuationsAsynchronously);
        new Thread(() =>
        {
            try
            {
                nint handle;
                device.MakeCurrent();
                Library.Check(Library.ncclCommInitRank(&handle, size, id, rank));
                joined.SetResult(handle);
            }
            catch (Exception e) when (e is NativeException or ObjectDisposedException)
            {
                joined.SetException(
                    new CollectiveException($"Rank {rank} of {size} cannot join the NCCL group: {e.Message}"));
            }
        })
        { IsBackground = true, Name = $"nccl join {rank}" }.Start();
        return Task.WhenAny(joined.Task, Task.Delay(timeout)).GetAwaiter().GetResult() == joined.Task
            ? new NcclCommunicator(joined.Task.GetAwaiter().GetResult(), rank, size, device, timeout)
            : throw new CollectiveException(
                $"Rank {rank} of {size} waited {timeout.TotalSeconds:F0} s for its peers to join the NCCL group.");
    }

    /// <summary>Begins a call; the handle is valid until <see cref="End"/>.</summary>
    public nint Begin(string operation)
    {
        _device.MakeCurrent();
        if (!_device.IsCapturing)
        {
            WaitForRoom();
        }

        lock (_lock)
        {
            ThrowIfFailed();
            _inside = new NcclCall(operation, ++_calls, Stopwatch.GetTimestamp(), 0);
            return _handle;
        }
    }

    /// <summary>Ends a call whose work is all in the stream.</summary>
    /// <param name="status">What NCCL said to it.</param>
    public void End(int status)
    {
        lock (_lock)
        {
            var call = _inside!.Value;
            _inside = null;
            ThrowIfFailed();
            if (status != Library.ncclSuccess)
            {
                Fail($"Rank {Rank} of {Size}: {call.Operation}, call {call.Number}, failed: {Describe(status)}");
                ThrowIfFailed();
            }

            // A captured call does nothing yet: what is watched is each replay.
            if (!_device.IsCapturing)
            {
                var ended = _freeEvents.Pop();
                Check(cuEventRecord(ended, _device.Stream));
                _pending.Enqueue(call with { Ended = ended });
            }
        }
    }

    /// <summary>A graph with calls of this group was launched: it is watched as one call.</summary>
    public void Replayed()
    {
        Begin("a replayed step");
        End(Library.ncclSuccess);
    }

    /// <summary>Throws if a call was found to have failed, now or earlier.</summary>
    public void ThrowIfFailed()
    {
        if (_failure is { } failure)
        {
            throw new CollectiveException(failure);
        }
    }

    public void Dispose()
    {
        // A group that ends in good order has nothing pending, or soon nothing; a broken one is not waited for.
        var patience = Stopwatch.GetTimestamp();
        while (HasPending() && Stopwatch.GetElapsedTime(patience) < s_disposePatience && !_stop.Wait(1))
        {
        }

        _stop.Set();
        if (!_watchdog.Join(s_abortPatience))
        {
            return; // it aborts a group whose graphs are still there; both end with the process
        }

        Abort();
        _device.MakeCurrent();
        if (_handle != 0)
        {
            _ = HasPending() ? Library.ncclCommAbort(_handle) : Library.ncclCommDestroy(_handle);
            _handle = 0;
        }

        foreach (var created in _freeEvents.Concat(_pending.Select(c => c.Ended)))
        {
            _ = cuEventDestroy(created);
        }

        _pending.Clear();
        _freeEvents.Clear();
        _stop.Dispose();
    }

    private static string Describe(int status)
    {
        try
        {
            Library.Check(status, "NCCL");
            return string.Empty;
        }
        catch (NativeException e)
        {
            return e.Message;
        }
    }

    // An event for the next call, also when the host is far ahead of the GPU. The watchdog ends this wait, too.
    private void WaitForRoom()
    {
        NcclCall? oldest;
        lock (_lock)
        {
            Retire();
            oldest = _freeEvents.Count == 0 ? _pending.Peek() : null;
        }

        if (oldest is { } full)
        {
            Check(cuEventSynchronize(full.Ended));
            lock (_lock)
            {
                Retire();
            }
        }
    }

    private bool HasPending()
    {
        _device.MakeCurrent();
        lock (_lock)
        {
            Retire();
            return _pending.Count > 0;
        }
    }

    private void Watch()
    {
        _device.MakeCurrent();
        while (!_stop.Wait(s_poll))
        {
            lock (_lock)
            {
                Look();
            }

            Abort();
        }
    }

    // Under the lock.
    private void Look()
    {
        Retire();
        if (_failure is not null || (_inside is null && _pending.Count == 0))
        {
            return;
        }

        var call = _pending.Count > 0 ? _pending.Peek() : _inside!.Value;
        var waited = Stopwatch.GetElapsedTime(Math.Max(call.Began, _lastProgress));
        int error;
        var asked = Library.ncclCommGetAsyncError(_handle, &error);
        var broken = asked != Library.ncclSuccess ? asked : error;
        if (broken is Library.ncclSuccess or Library.ncclInProgress && waited < _timeout)
        {
            return;
        }

        // Freed under the feet of a call that is on its way through, the communicator would crash it: it is let out first,
        // unless it is the one that hangs.
        if (_inside is { } inside && Stopwatch.GetElapsedTime(inside.Began) < _timeout)
        {
            return;
        }

        Fail(broken is Library.ncclSuccess or Library.ncclInProgress
            ? $"Rank {Rank} of {Size} waited {waited.TotalSeconds:F1} s for its peers in {call.Operation}, call {call.Number}."
            : $"Rank {Rank} of {Size}: {call.Operation}, call {call.Number}, failed: {Describe(broken)}");
    }

    // Under the lock.
    private void Fail(string message)
    {
        _failure = message;
        (_broken, _handle) = (_handle, 0);
    }

    // NCCL's kernels end when this begins, but it returns only when the graphs that hold calls are gone: so never under the lock,
    // which those who would dispose them need.
    private void Abort()
    {
        if (Interlocked.Exchange(ref _broken, 0) is var broken and not 0)
        {
            _ = Library.ncclCommAbort(broken); // it is broken already: nothing is to be learnt from the answer
        }
    }

    // Takes calls that are done off the list; under the lock. A broken context counts as done: whoever uses it is told.
    private void Retire()
    {
        while (_pending.Count > 0 && cuEventQuery(_pending.Peek().Ended) != CUDA_ERROR_NOT_READY)
        {
            _freeEvents.Push(_pending.Dequeue().Ended);
            _lastProgress = Stopwatch.GetTimestamp();
        }
    }
}
