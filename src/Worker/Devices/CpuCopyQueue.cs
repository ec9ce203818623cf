using System.Runtime.InteropServices;

namespace TensorParallel.Worker.Devices;

/// <summary>
/// Copies of a <see cref="CpuDevice"/> by a thread of their own. A poisoning device has none: there a copy runs when its point is waited
/// for and not before, so that whoever reads without waiting finds poison, every time.
/// </summary>
internal sealed unsafe class CpuCopyQueue : ICopyQueue
{
    private readonly bool _isLate;
    private readonly Thread? _thread;
    private readonly Queue<(nint Source, nint Target, long Bytes)> _copies = [];
    private readonly SemaphoreSlim _queued = new(0);
    private readonly object _progress = new();
    private long _count;
    private long _done;
    private bool _stopping;

    /// <summary>Starts the thread, unless copies are to be late.</summary>
    /// <param name="name">Of the device.</param>
    /// <param name="isLate">Copy when waited for, and fill what is released.</param>
    public CpuCopyQueue(string name, bool isLate)
    {
        _isLate = isLate;
        if (!isLate)
        {
            _thread = new Thread(Serve) { IsBackground = true, Name = $"copies {name}" };
            _thread.Start();
        }
    }

    // Operations were done when they returned: nobody reads it any more. But a copy into it may still be due, or under way.
    public void Release(DeviceBuffer target)
    {
        if (!_isLate)
        {
            return;
        }

        lock (_progress)
        {
            if (_copies.Any(copy => copy.Target == target.Address))
            {
                RunUntil(_count);
            }

            NativeMemory.Fill((void*)target.Address, (nuint)target.Bytes, 0xFF);
        }
    }

    public void Copy(DeviceBuffer source, DeviceBuffer target, long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(bytes, Math.Min(source.Bytes, target.Bytes));
        lock (_progress)
        {
            _copies.Enqueue((source.Address, target.Address, bytes));
            _count++;
        }

        _queued.Release();
    }

    public ICopyPoint CreatePoint() => new Point(this);

    public void Dispose()
    {
        if (_thread is not null)
        {
            Volatile.Write(ref _stopping, true);
            _queued.Release();
            _thread.Join();
        }

        _queued.Dispose();
    }

    private void Serve()
    {
        while (true)
        {
            _queued.Wait();
            if (Volatile.Read(ref _stopping))
            {
                return;
            }

            RunNext();
        }
    }

    private void RunNext()
    {
        (nint Source, nint Target, long Bytes) copy;
        lock (_progress)
        {
            copy = _copies.Dequeue();
        }

        NativeMemory.Copy((void*)copy.Source, (void*)copy.Target, (nuint)copy.Bytes);
        lock (_progress)
        {
            _done++;
            Monitor.PulseAll(_progress);
        }
    }

    private void RunUntil(long count)
    {
        while (_done < count)
        {
            RunNext();
        }
    }

    private void Await(long count)
    {
        lock (_progress)
        {
            if (_isLate)
            {
                RunUntil(count);
                return;
            }

            while (_done < count)
            {
                Monitor.Wait(_progress);
            }
        }
    }

    private sealed class Point(CpuCopyQueue queue) : ICopyPoint
    {
        private long _after;

        public void Set() => _after = queue._count;

        public void HoldDevice() => queue.Await(_after);

        public void Wait() => queue.Await(_after);

        public void Dispose()
        {
        }
    }
}
