using System.Diagnostics;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Native;
using static TensorParallel.Worker.Native.CudaDriver;
using Library = TensorParallel.Worker.Native.Nccl;

namespace TensorParallel.Worker.Collectives.Nccl;

/// <summary>
/// This rank's NCCL communicator under watch. Calls only queue work on the GPU's stream, and NCCL's kernels wait there for peers
/// without end; a thread looks after them: when one makes no progress for the timeout, or NCCL reports an error, it aborts the
/// communicator. The kernels then end, whatever waits for the stream goes on with meaningless data, and
/// <see cref="ThrowIfFailed"/> and every later call throw. Calls come from one thread.
/// </summary>
internal sealed unsafe class NcclCommunicator : IDisposable
{
    private const int MostPending = 256;
    private static readonly TimeSpan s_poll = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan s_disposePatience = TimeSpan.FromSeconds(2);

    private readonly CudaDevice _device;
    private readonly TimeSpan _timeout;
    private readonly Lock _lock = new();
    private readonly Queue<NcclCall> _pending = [];
    private readonly Stack<nint> _freeEvents = [];
    private readonly ManualResetEventSlim _stop = new();
    private readonly Thread _watchdog;
    private nint _handle;
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
        NcclCall? oldest;
        lock (_lock)
        {
            oldest = _freeEvents.Count == 0 ? _pending.Peek() : null;
        }

        if (oldest is { } full)
        {
            // The watchdog ends this wait, too; the event comes back to the stack only below.
            Check(cuEventSynchronize(full.Ended));
        }

        lock (_lock)
        {
            Retire();
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

            var ended = _freeEvents.Pop();
            Check(cuEventRecord(ended, _device.Stream));
            _pending.Enqueue(call with { Ended = ended });
        }
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
        _watchdog.Join();
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
        _ = Library.ncclCommAbort(_handle); // it is broken already: nothing is to be learnt from the answer
        _handle = 0;
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
