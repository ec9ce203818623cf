using Microsoft.Extensions.Logging;
using TensorParallel.Protocol.Wire;
using TensorParallel.Protocol.Wire.Workers;

namespace TensorParallel.Worker.Session;

/// <content>Memory: reports, and what is given back for a while. On the compute thread.</content>
internal sealed partial class WorkerSession
{
    private void ReportMemory(bool resetPeaks)
    {
        var model = _model ?? throw new WireException("A memory report was asked for before the load command.");
        if (resetPeaks)
        {
            ProcessCalls.Flush();
            model.ResetPeaks();
        }

        var device = model.DeviceMemory();
        var resident = ProcessCalls.ResidentBytes();
        var report = new MemoryReport
        {
            DeviceTotal = device.Total,
            DeviceFree = device.Free,
            Pinned = device.Pinned,
            Resident = resident,

            // The kernel counts peaks a little late.
            PeakResident = Math.Max(resident, ProcessCalls.PeakResidentBytes()),
            Evicted = _isEvicted,
        };
        report.Memory.Add(model.MemoryUse().Select(
            use => new MemoryUse { Purpose = use.Purpose.ToString(), Current = use.Current, Peak = use.Peak }));
        _post(new WorkerEvent { Memory = report });
    }

    private void Move(bool evict)
    {
        var model = _model ?? throw new WireException("A model was to be evicted or restored before the load command.");
        if (_isEvicted == evict)
        {
            throw new WireException(evict ? "The model is evicted already." : "The model is on the device already.");
        }

        var started = TimeProvider.System.GetTimestamp();
        var moved = evict ? model.Evict() : model.Restore();
        _isEvicted = evict;
        var elapsed = TimeProvider.System.GetElapsedTime(started);
        MemoryLog.Moved(
            logger, evict ? "evicted" : "restored", moved.Device / 1e6, elapsed.TotalMilliseconds, moved.Copied / 1e6);
        _post(new WorkerEvent
        {
            Moved = new Moved
            {
                DeviceBytes = moved.Device,
                CopiedBytes = moved.Copied,
                Microseconds = (long)elapsed.TotalMicroseconds,
                Pinned = model.DeviceMemory().Pinned,
            },
        });
    }

    private static partial class MemoryLog
    {
        [LoggerMessage(5, LogLevel.Debug, "{What} {Megabytes:F1} MB in {Milliseconds:F1} ms, {Copied:F1} MB of them copied")]
        public static partial void Moved(ILogger logger, string what, double megabytes, double milliseconds, double copied);
    }
}
