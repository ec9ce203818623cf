using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Collectives;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Benchmarks.Gpu;

/// <summary>
/// Times calls of a group on one rank, every rank at once. The clock stands in the graph itself, behind a sum that ends when every
/// GPU has begun the replay: a peer whose host issues its replay late is not counted as time of the calls, but told apart.
/// </summary>
internal sealed class GroupBench(CudaDevice device, ICollective collective)
{
    private const int Replays = 25;

    private readonly Tensor _token = ((IDevice)device).AllocateTensor(
        DType.F32, 1, 1, MemoryPurpose.Workspace);

    /// <summary>Longest that a replay took beyond the calls in it: how late a peer's host was.</summary>
    public double LatestMicroseconds { get; private set; }

    /// <summary>Microseconds of a call, so many of which are one graph.</summary>
    public Spread Measure(int calls, Action issue)
    {
        device.Clear(_token.Buffer, 0, _token.Buffer.Bytes);
        collective.AllReduceSum(_token);
        issue(); // loads kernels, which a capture may not
        device.Synchronize();
        using var begin = new CudaEvent(device);
        using var start = new CudaEvent(device);
        using var end = new CudaEvent(device);
        using var graph = CudaGraph.Capture(device, () =>
        {
            collective.AllReduceSum(_token);
            start.Record();
            for (var i = 0; i < calls; i++)
            {
                issue();
            }

            end.Record();
        });
        var times = new double[Replays];
        for (var i = -2; i < Replays; i++) // the first loads the graph
        {
            begin.Record();
            graph.Replay();
            collective.Replayed();
            var inside = end.MicrosecondsSince(start);
            if (i >= 0)
            {
                LatestMicroseconds = Math.Max(LatestMicroseconds, end.MicrosecondsSince(begin) - inside);
                times[i] = inside / calls;
            }
        }

        collective.ThrowIfFailed();
        Array.Sort(times);
        return new Spread(times[0], times[Replays / 2], times[^1]);
    }
}
