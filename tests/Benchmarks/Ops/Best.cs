using System.Diagnostics;

namespace TensorParallel.Benchmarks.Ops;

/// <summary>
/// Times an action. The machine may be shared: the best of many runs, each short enough to fall between two turns of
/// others, is what the code can do; on a quiet machine the median says the same.
/// </summary>
internal readonly record struct Best(double Seconds, double Median)
{
    /// <summary>Times single calls for <paramref name="budget"/> seconds, at least five.</summary>
    public static Best Of(Action action, double budget = 1.0)
    {
        action();
        var times = new List<double>();
        var start = Stopwatch.GetTimestamp();
        while (times.Count < 5 || Stopwatch.GetElapsedTime(start).TotalSeconds < budget)
        {
            var before = Stopwatch.GetTimestamp();
            action();
            times.Add(Stopwatch.GetElapsedTime(before).TotalSeconds);
        }

        times.Sort();
        return new Best(times[0], times[times.Count / 2]);
    }
}
