using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Collectives;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops;

namespace TensorParallel.Worker.Measuring;

/// <summary>Time of one sum over all ranks, by size: many in a row, issued one by one.</summary>
internal static class AllReduceTimes
{
    private const int Repetitions = 50;
    private const int Runs = 7;

    // Longer than the host needs to issue one run, so that the device does not wait for it.
    private static readonly TimeSpan s_hold = TimeSpan.FromMilliseconds(2);

    /// <summary>One figure a size: the median over the runs of this rank. Every rank calls it with the same sizes.</summary>
    /// <param name="collective">The group.</param>
    /// <param name="device">This rank's device.</param>
    /// <param name="ops">Measuring on it.</param>
    /// <param name="dtype">Dtype of activations.</param>
    /// <param name="sizes">Bytes of one message.</param>
    public static IReadOnlyList<Figure> Measure(
        ICollective collective, IDevice device, IMeasuringOps ops, DType dtype, IReadOnlyList<long> sizes)
    {
        using var marks = ops.CreateMarks();
        return [.. sizes.Select(bytes => new Figure(collective.Name, Median(collective, device, marks, dtype, bytes), bytes))];
    }

    private static double Median(ICollective collective, IDevice device, IDeviceMarks marks, DType dtype, long bytes)
    {
        var columns = checked((int)(bytes / dtype.SizeInBytes()));
        var x = device.AllocateTensor(dtype, 1, columns, MemoryPurpose.Workspace);
        try
        {
            device.Clear(x.Buffer, 0, x.Buffer.Bytes);
            var times = new double[Runs];
            for (var run = -1; run < Runs; run++)
            {
                collective.Barrier();
                marks.Clear();
                marks.Hold(s_hold);
                marks.Mark();
                for (var i = 0; i < Repetitions; i++)
                {
                    collective.AllReduceSum(x);
                }

                marks.Mark();
                var time = marks.Microseconds(0, 1) / Repetitions;
                collective.ThrowIfFailed();
                if (run >= 0)
                {
                    times[run] = time;
                }
            }

            Array.Sort(times);
            return times[Runs / 2];
        }
        finally
        {
            x.Buffer.Dispose();
        }
    }
}
