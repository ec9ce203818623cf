using System.Diagnostics;

namespace TensorParallel.Worker.Ops.Cpu;

/// <summary>Points in time of a device whose operations are done when they return.</summary>
internal sealed class HostMarks : IDeviceMarks
{
    private readonly List<long> _points = [];

    public int Mark()
    {
        _points.Add(Stopwatch.GetTimestamp());
        return _points.Count - 1;
    }

    public double Microseconds(int from, int to) =>
        Stopwatch.GetElapsedTime(_points[from], _points[to]).TotalMicroseconds;

    public void Clear() => _points.Clear();

    public void Hold(TimeSpan duration)
    {
    }

    public void Dispose()
    {
    }
}
