using System.Runtime.InteropServices;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Ops.Cuda;

/// <summary>Events on the device's stream, kept and used again.</summary>
internal sealed class CudaMarks(CudaDevice device) : IDeviceMarks
{
    private static readonly TimeSpan s_longestHold = TimeSpan.FromMilliseconds(50);

    private readonly List<CudaEvent> _events = [];
    private int _set;

    public int Mark()
    {
        if (_set == _events.Count)
        {
            _events.Add(new CudaEvent(device));
        }

        _events[_set].Record();
        return _set++;
    }

    public double Microseconds(int from, int to) => _events[to].MicrosecondsSince(_events[from]);

    public void Clear() => _set = 0;

    public void Hold(TimeSpan duration)
    {
        var held = duration < s_longestHold ? duration : s_longestHold;
        var arguments = new Arguments { Nanoseconds = (long)held.TotalNanoseconds };
        device.Launch(device.Modules.Get(CudaKernels.Hold()), new CudaGrid(1, 1, 1, 1), arguments);
    }

    public void Dispose()
    {
        foreach (var item in _events)
        {
            item.Dispose();
        }

        _events.Clear();
    }

    /// <summary>hold.cu.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Arguments
    {
        internal long Nanoseconds;
    }
}
