using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;

namespace TensorParallel.Worker.Devices;

/// <summary>
/// A pool of Count − 1 threads that, with the caller, share out the parts of one job at a time. One caller at a time.
/// A thread takes the next part when it has done its last (no fixed shares): a thread that another process holds up
/// costs one part, not a share. The call ends when all parts are done; threads that never came are not waited for.
/// </summary>
internal sealed unsafe class CpuThreads : IDisposable
{
    // About 20 µs: longer than the serial gaps between two operations of a decode step, shorter than a wake-up costs
    // others.
    private const int SpinRounds = 600;

    private readonly Thread[] _threads;
    private readonly SemaphoreSlim _wake = new(0);
    private readonly SemaphoreSlim _finished = new(0);

    // High half: number of the job; low half: parts not yet taken. One word, so that a late thread cannot take a part
    // of another job: what it read about the job is only used if the ticket has not changed since.
    private long _ticket;
    private delegate*<void*, int, int, void> _invoke;
    private void* _work;
    private int _parts;
    private int _completed;
    private int _sleepers;
    private int _callerWaits;
    private volatile bool _stopping;
    private ExceptionDispatchInfo? _failure;

    /// <summary>Starts the threads; 1 starts none and runs everything on the caller.</summary>
    public CpuThreads(int threads)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(threads, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(threads, 1024);
        _threads = new Thread[threads - 1];
        for (var i = 0; i < _threads.Length; i++)
        {
            var index = i + 1;
            _threads[i] = new Thread(() => Serve(index)) { IsBackground = true, Name = $"cpu-ops-{index}" };
            _threads[i].Start();
        }
    }

    /// <summary>Threads that take part, the caller included.</summary>
    public int Count => _threads.Length + 1;

    /// <summary>
    /// Runs parts 0 … <paramref name="parts"/> − 1 and returns when all are done. If parts throw, one of the exceptions
    /// is thrown here, and parts not yet begun are skipped.
    /// </summary>
    public void Run<TWork>(int parts, in TWork work)
        where TWork : struct, ICpuWork
    {
        ObjectDisposedException.ThrowIf(_stopping, this);
        if (_threads.Length == 0 || parts <= 1)
        {
            for (var part = 0; part < parts; part++)
            {
                work.Run(part, 0);
            }

            return;
        }

        var copy = work;
        _invoke = &Invoke<TWork>;
        _work = Unsafe.AsPointer(ref copy);
        _parts = parts;
        _completed = 0;
        var job = (Volatile.Read(ref _ticket) >> 32) + 1;
        Volatile.Write(ref _ticket, (job << 32) | (uint)parts);
        WakeSleepers(parts - 1);
        TakeParts(0);
        AwaitCompletion(parts);
        if (_failure is { } failure)
        {
            _failure = null;
            failure.Throw();
        }
    }

    /// <summary>Ends the threads and waits for them.</summary>
    public void Dispose()
    {
        if (_stopping)
        {
            return;
        }

        _stopping = true;
        WakeSleepers(int.MaxValue);
        foreach (var thread in _threads)
        {
            thread.Join();
        }

        _wake.Dispose();
        _finished.Dispose();
    }

    private static void Invoke<TWork>(void* work, int part, int thread)
        where TWork : struct, ICpuWork => Unsafe.AsRef<TWork>(work).Run(part, thread);

    private void Serve(int index)
    {
        while (!_stopping)
        {
            TakeParts(index);
            for (var spin = 0; spin < SpinRounds && !HasParts() && !_stopping; spin++)
            {
                Thread.SpinWait(1);
            }

            if (!HasParts() && !_stopping)
            {
                Sleep();
            }
        }
    }

    private bool HasParts() => (int)Volatile.Read(ref _ticket) > 0;

    private void TakeParts(int index)
    {
        while (true)
        {
            var ticket = Volatile.Read(ref _ticket);
            if ((int)ticket == 0)
            {
                return;
            }

            var invoke = _invoke;
            var work = _work;
            var parts = _parts;
            if (Interlocked.CompareExchange(ref _ticket, ticket - 1, ticket) == ticket)
            {
                RunPart(invoke, work, parts - (int)ticket, index);
                if (Interlocked.Increment(ref _completed) == parts && Interlocked.Exchange(ref _callerWaits, 0) == 1)
                {
                    _finished.Release();
                }
            }
        }
    }

    private void RunPart(delegate*<void*, int, int, void> invoke, void* work, int part, int index)
    {
        if (Volatile.Read(ref _failure) is not null)
        {
            return;
        }

        try
        {
            invoke(work, part, index);
        }
        catch (Exception e)
        {
            Interlocked.CompareExchange(ref _failure, ExceptionDispatchInfo.Capture(e), null);
        }
    }

    private void AwaitCompletion(int parts)
    {
        for (var spin = 0; spin < SpinRounds; spin++)
        {
            if (Volatile.Read(ref _completed) == parts)
            {
                return;
            }

            Thread.SpinWait(1);
        }

        Interlocked.Exchange(ref _callerWaits, 1);
        if (Volatile.Read(ref _completed) == parts && Interlocked.Exchange(ref _callerWaits, 0) == 1)
        {
            return;
        }

        // Whoever took the flag releases exactly once.
        _finished.Wait();
    }

    private void WakeSleepers(int most)
    {
        Interlocked.MemoryBarrier();
        while (Volatile.Read(ref _sleepers) is var sleepers and > 0)
        {
            var woken = Math.Min(sleepers, most);
            if (Interlocked.CompareExchange(ref _sleepers, sleepers - woken, sleepers) == sleepers)
            {
                _wake.Release(woken);
                return;
            }
        }
    }

    private void Sleep()
    {
        Interlocked.Increment(ref _sleepers);
        while (HasParts() || _stopping)
        {
            // Work came in between: take the registration back, unless a release is already on its way to this thread.
            var sleepers = Volatile.Read(ref _sleepers);
            if (sleepers == 0)
            {
                break;
            }

            if (Interlocked.CompareExchange(ref _sleepers, sleepers - 1, sleepers) == sleepers)
            {
                return;
            }
        }

        _wake.Wait();
    }
}
