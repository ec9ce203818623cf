using System.Diagnostics;

namespace TensorParallel.Benchmarks.Ops;

/// <summary>Times an action; the machine is shared, so the best of many short runs is what the code can do.</summary>
internal static class Best
{
    /// <summary>Shortest time of one call, in seconds, over <paramref name="budget"/> seconds and at least five calls.</summary>
    public static double Seconds(Action action, double budget = 1.0)
    {
        action();
        var best = double.PositiveInfinity;
        var start = Stopwatch.GetTimestamp();
        for (var i = 0; i < 5 || Stopwatch.GetElapsedTime(start).TotalSeconds < budget; i++)
        {
            var before = Stopwatch.GetTimestamp();
            action();
            best = Math.Min(best, Stopwatch.GetElapsedTime(before).TotalSeconds);
        }

        return best;
    }
}
