using System.Diagnostics;

namespace TensorParallel.Worker.Execution;

/// <summary>
/// Times steps that overlap: a step's time begins when it was issued, but not before the step ahead of it ended. Used by one thread.
/// </summary>
internal sealed class StepClock
{
    private long _lastEnd;

    /// <summary>The step issued at this timestamp has ended now: the microseconds it took.</summary>
    public long Microseconds(long began)
    {
        var now = Stopwatch.GetTimestamp();
        var elapsed = Stopwatch.GetElapsedTime(Math.Max(began, _lastEnd), now);
        _lastEnd = now;
        return (long)elapsed.TotalMicroseconds;
    }
}
