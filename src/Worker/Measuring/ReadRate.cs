using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops;

namespace TensorParallel.Worker.Measuring;

/// <summary>The rate at which a device reads its memory when it does nothing else: what decoding is measured against.</summary>
internal static class ReadRate
{
    // Many times the caches of any device; a quarter will do where the weights leave no more.
    private const long WantedBytes = 1L << 30;
    private const long LeastBytes = 64L << 20;
    private const int Runs = 10;

    /// <summary>Best of ten reads of up to 1 GiB; the memory is returned.</summary>
    /// <exception cref="DeviceMemoryException">There are not even 64 MiB free.</exception>
    public static Figure Measure(IDevice device, IMeasuringOps ops)
    {
        using var buffer = Allocate(device);
        using var sum = device.Allocate(sizeof(int), MemoryPurpose.Workspace);
        var words = new Tensor(buffer, 0, DType.I32, 1, (int)(buffer.Bytes / sizeof(int)), (int)(buffer.Bytes / sizeof(int)));
        var total = new Tensor(sum, 0, DType.I32, 1, 1, 1);
        device.Clear(buffer, 0, buffer.Bytes);
        device.Clear(sum, 0, sum.Bytes);
        ops.SumWords(words, total);
        using var marks = ops.CreateMarks();
        marks.Mark();
        for (var run = 0; run < Runs; run++)
        {
            ops.SumWords(words, total);
            marks.Mark();
        }

        var best = Enumerable.Range(0, Runs).Min(run => marks.Microseconds(run, run + 1));
        return new Figure("read", best, buffer.Bytes);
    }

    private static DeviceBuffer Allocate(IDevice device)
    {
        for (var bytes = WantedBytes; ; bytes /= 2)
        {
            try
            {
                return device.Allocate(bytes, MemoryPurpose.Workspace);
            }
            catch (DeviceMemoryException) when (bytes > LeastBytes)
            {
                // Weights and cache have taken nearly everything: half of it, then.
            }
        }
    }
}
