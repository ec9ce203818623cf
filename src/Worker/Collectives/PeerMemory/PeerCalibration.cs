using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops.Cuda;

namespace TensorParallel.Worker.Collectives.PeerMemory;

/// <summary>
/// Measures on the group itself which way is fastest at which size: some hundred milliseconds at start. Rank 0's figures decide for
/// all. Every rank makes the same calls.
/// </summary>
internal sealed class PeerCalibration(PeerGroup group, ICollective others, RankExchange exchange)
{
    /// <summary>Names of the ways, as <see cref="CollectiveTiming.Path"/>.</summary>
    internal const string OneShot = "one shot";

    /// <summary>See <see cref="OneShot"/>.</summary>
    internal const string TwoShots = "two shots";

    /// <summary>See <see cref="OneShot"/>.</summary>
    internal const string Divided = "rows divided";

    /// <summary>Name of a plain sum, as <see cref="CollectiveTiming.Operation"/>.</summary>
    internal const string SumOperation = "all-reduce";

    private const string NormOperation = "all-reduce + norm";
    private const int Calls = 20;
    private const int Replays = 5;
    private const int DividedRows = 2048;

    private static readonly int[] s_bytes = [8 << 10, 32 << 10, 64 << 10, 128 << 10, 256 << 10, 512 << 10, 1 << 20, 2 << 20];
    // Longer than the host takes to issue the calls, so that the GPU does not wait for it.
    private static readonly TimeSpan s_hold = TimeSpan.FromMilliseconds(0.3);
    private static readonly int[] s_parts = [1, 2, 4, 8];

    private readonly PeerCalls _calls = new(group);
    private readonly List<CollectiveTiming> _timings = [];

    /// <summary>What was measured on this rank.</summary>
    public IReadOnlyList<CollectiveTiming> Timings => _timings;

    /// <summary>Measures and agrees.</summary>
    /// <param name="divides">Whether rows may be divided, the same on all ranks.</param>
    public PeerChoice Choose(bool divides)
    {
        using var buffer = group.Device.Allocate(s_bytes[^1], MemoryPurpose.Workspace);
        group.Device.Clear(buffer, 0, buffer.Bytes);
        foreach (var bytes in s_bytes)
        {
            var x = new Tensor(buffer, 0, DType.BF16, 1, bytes / 2, bytes / 2);
            foreach (var twoShot in (bool[])[false, true])
            {
                if (_calls.CanSum(PeerShape.Of(x), twoShot))
                {
                    Note(SumOperation, twoShot ? TwoShots : OneShot, bytes, Captured(() => _calls.Sum(x, twoShot)));
                }
            }

            Note(SumOperation, others.Name, bytes, Queued(() => others.AllReduceSum(x)));
        }

        var parts = MeasureParts(PeerCalls.RowElements);
        var wideParts = MeasureParts(2 * PeerCalls.RowElements);
        var (oneShot, twoShots) = Limits(_timings);
        var agreed = exchange.FromRankZero(oneShot, twoShots, parts, wideParts, divides ? MeasureDivided() : long.MaxValue);
        return new PeerChoice(agreed[0], agreed[1], (int)agreed[2], (int)agreed[3], agreed[4]);
    }

    /// <summary>
    /// Up to which size one shot, and then two shots, are the best, going up from the smallest. NCCL is measured outside of graphs,
    /// where calls are further apart, so it must be clearly faster to be preferred: by a tenth.
    /// </summary>
    internal static (long OneShotBytes, long TwoShotBytes) Limits(IEnumerable<CollectiveTiming> timings)
    {
        long oneShot = 0, twoShots = 0;
        var oneShotEnded = false;
        foreach (var size in timings.Where(t => t.Operation == SumOperation).GroupBy(t => t.Bytes).OrderBy(g => g.Key))
        {
            var (one, two) = (Time(size, OneShot), Time(size, TwoShots));
            var other = size.Single(t => t.Path is not (OneShot or TwoShots)).Microseconds;
            if (!oneShotEnded && one <= two && one * 0.9 <= other)
            {
                oneShot = size.Key;
                continue;
            }

            oneShotEnded = true;
            if (two * 0.9 > other)
            {
                break;
            }

            twoShots = size.Key;
        }

        return (oneShot, twoShots);

        static double Time(IEnumerable<CollectiveTiming> size, string path) =>
            size.FirstOrDefault(t => t.Path == path)?.Microseconds ?? double.PositiveInfinity;
    }

    private int MeasureParts(int columns)
    {
        if (group.Device.Capability < 90)
        {
            return 1;
        }

        using var memory = group.Device.Allocate(4L * columns * sizeof(ushort), MemoryPurpose.Workspace);
        group.Device.Clear(memory, 0, memory.Bytes);
        var rows = new Tensor(memory, 0, DType.BF16, 4, columns, columns);
        var (delta, residual, weight, output) = (rows.RowsAt(0, 1), rows.RowsAt(1, 1), rows.RowsAt(2, 1), rows.RowsAt(3, 1));
        var times = s_parts.Select(parts => Captured(
            () => _calls.SumNorm(delta, residual, weight, 1e-5f, output, twoShot: false, parts))).ToArray();
        for (var i = 0; i < times.Length; i++)
        {
            Note(NormOperation, $"{s_parts[i]} blocks a row", columns * sizeof(ushort), times[i]);
        }

        return s_parts[Array.IndexOf(times, times.Min())];
    }

    // From which size on norm and all by divided rows take no longer than the other collective's sum alone.
    private long MeasureDivided()
    {
        const int Columns = PeerCalls.RowElements;
        using var memory = group.Device.Allocate(3L * DividedRows * Columns * sizeof(ushort), MemoryPurpose.Workspace);
        group.Device.Clear(memory, 0, memory.Bytes);
        var all = new Tensor(memory, 0, DType.BF16, 3 * DividedRows, Columns, Columns);
        var calls = new PeerRowCalls(group);
        var (from, isFaster) = (long.MaxValue, true);
        foreach (var rows in (int[])[DividedRows, DividedRows / 4])
        {
            var (delta, residual, output) = (all.RowsAt(0, rows), all.RowsAt(DividedRows, rows), all.RowsAt(2 * DividedRows, rows));
            var bytes = rows * Columns * sizeof(ushort);
            var divided = Captured(() => calls.SumNorm(delta, residual, residual.RowsAt(0, 1), 1e-5f, output));
            var sum = Queued(() => others.AllReduceSum(delta));
            Note(NormOperation, Divided, bytes, divided);
            Note(SumOperation, others.Name, bytes, sum);
            isFaster &= divided <= sum;
            from = isFaster ? bytes : from;
        }

        return from;
    }

    private void Note(string operation, string path, int bytes, double microseconds) =>
        _timings.Add(new CollectiveTiming(operation, path, bytes, microseconds));

    private double Captured(Action call)
    {
        call(); // loads the kernel, which a capture may not
        using var graph = CudaGraph.Capture(group.Device, () => Repeat(call));
        return Median(call, graph.Replay);
    }

    private double Queued(Action call)
    {
        call();
        return Median(call, () => Repeat(call));
    }

    // A call ahead of the clock lets the ranks begin together: the first to come would count the wait for the last. Four ranks that
    // came 40 us apart made a sum of 2.6 us look like one of 4.5, and two shots like the better way.
    private double Median(Action meet, Action issue)
    {
        issue();
        using var start = new CudaEvent(group.Device);
        using var end = new CudaEvent(group.Device);
        var times = new double[Replays];
        using var marks = new CudaMarks(group.Device);
        for (var i = 0; i < times.Length; i++)
        {
            marks.Hold(s_hold);
            meet();
            start.Record();
            issue();
            end.Record();
            times[i] = end.MicrosecondsSince(start) / Calls;
        }

        Array.Sort(times);
        return times[Replays / 2];
    }

    private static void Repeat(Action call)
    {
        for (var i = 0; i < Calls; i++)
        {
            call();
        }
    }
}
