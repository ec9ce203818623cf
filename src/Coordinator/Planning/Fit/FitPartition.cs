namespace TensorParallel.Coordinator.Planning.Fit;

/// <summary>
/// The best cut of a row of units into consecutive stages, by dynamic programming over (devices used, units placed).
/// Stages may be empty. First the slowest stage is made as fast as it can be; among all cuts that reach that, up to a
/// thousandth, the one with the smallest sum of squared memory shares is taken: it leaves the most room where room is
/// scarce, and gives larger devices more. Example: 34 units of equal time on devices of speed 2 and 1: 23 and 11.
/// </summary>
internal static class FitPartition
{
    /// <summary>Stages that differ by less are equally slow: one row of the embedding decides nothing.</summary>
    public const double Tolerance = 1.001;

    /// <summary>
    /// Where each device's units end: 34 units over 2 devices might give [23, 34]. Null: nothing fits.
    /// </summary>
    public static IReadOnlyList<int>? Find(FitProblem problem)
    {
        var slowest = Solve(problem, problem.Time, Math.Max, double.PositiveInfinity, out _);
        if (double.IsPositiveInfinity(slowest))
        {
            return null;
        }

        var knowsAll = problem.Devices.All(device => device.Bytes is > 0);
        Solve(problem, Share, (sum, share) => sum + share, slowest * Tolerance, out var starts);
        return Ends(problem, starts);

        double Share(int device, int start, int end)
        {
            var share = problem.MemoryBytes(device, start, end) / (knowsAll ? problem.Devices[device].Bytes!.Value : 1.0);
            return share * share;
        }
    }

    /// <summary>
    /// The least total of a stage cost over all cuts whose stages fit and take at most <paramref name="longest"/>.
    /// <paramref name="starts"/>[d][n]: where the last stage begins in the best cut of the first n units over d
    /// devices.
    /// </summary>
    private static double Solve(
        FitProblem problem,
        Func<int, int, int, double> cost,
        Func<double, double, double> join,
        double longest,
        out int[][] starts)
    {
        var units = problem.Units.Count;
        var best = Enumerable.Repeat(double.PositiveInfinity, units + 1).ToArray();
        best[0] = 0;
        starts = new int[problem.Devices.Count + 1][];
        for (var device = 0; device < problem.Devices.Count; device++)
        {
            // An empty stage costs nothing: what was best without this device still is.
            var next = (double[])best.Clone();
            var from = starts[device + 1] = [.. Enumerable.Range(0, units + 1)];
            for (var end = 1; end <= units; end++)
            {
                // A longer stage takes more memory: where it is too long, all that begin earlier are. Not always more time: where two
                // slots find no room, one leaves more layers on the device.
                for (var start = end - 1; start >= 0 && problem.Fits(device, start, end); start--)
                {
                    var total = problem.MayCutBefore(start) && problem.MayCutBefore(end) && problem.Time(device, start, end) <= longest
                        ? join(best[start], cost(device, start, end))
                        : double.PositiveInfinity;
                    if (total < next[end])
                    {
                        (next[end], from[end]) = (total, start);
                    }
                }
            }

            best = next;
        }

        return best[units];
    }

    private static int[] Ends(FitProblem problem, int[][] starts)
    {
        var ends = new int[problem.Devices.Count];
        var end = problem.Units.Count;
        for (var device = ends.Length - 1; device >= 0; device--)
        {
            ends[device] = end;
            end = starts[device + 1][end];
        }

        return ends;
    }
}
