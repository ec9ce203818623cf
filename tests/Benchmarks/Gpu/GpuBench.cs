using System.Runtime.InteropServices;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops.Cuda;

namespace TensorParallel.Benchmarks.Gpu;

/// <summary>Times work on a GPU and makes its random inputs.</summary>
internal sealed class GpuBench(CudaDevice device, CudaOps ops)
{
    // Several times the second-level cache of any GPU so far (H200: 60 MB): weights that are read in turns come from memory.
    private const long RotatedBytes = 400L << 20;

    private readonly ushort[] _noise = MakeNoise();

    public CudaDevice Device => device;

    public CudaOps Ops => ops;

    /// <summary>Copies of a weight of so many bytes that make a rotation miss the cache; at most 64.</summary>
    public static int Copies(long bytes) => (int)Math.Clamp((RotatedBytes + bytes - 1) / bytes, 1, 64);

    /// <summary>Median microseconds of one launch: <paramref name="issue"/> is called with 0 … count − 1 into one graph.</summary>
    public double Microseconds(int count, Action<int> issue)
    {
        issue(0); // loads kernels, which a capture may not
        device.Synchronize();
        using var graph = CudaGraph.Capture(device, () =>
        {
            for (var i = 0; i < count; i++)
            {
                issue(i);
            }
        });
        graph.Replay();
        device.Synchronize();
        using var start = new CudaEvent(device);
        using var end = new CudaEvent(device);
        var times = new double[9];
        for (var i = 0; i < times.Length; i++)
        {
            start.Record();
            graph.Replay();
            end.Record();
            times[i] = end.MicrosecondsSince(start) / count;
        }

        Array.Sort(times);
        return times[times.Length / 2];
    }

    /// <summary>A bf16 tensor of random numbers up to ±1/8; the caller disposes its buffer.</summary>
    public Tensor Random(int rows, int columns, MemoryPurpose purpose = MemoryPurpose.Workspace)
    {
        var tensor = ((IDevice)device).AllocateTensor(DType.BF16, rows, columns, purpose);
        var bytes = MemoryMarshal.AsBytes<ushort>(_noise);
        var first = Math.Min(bytes.Length, tensor.Buffer.Bytes);
        device.CopyToDevice(bytes[..(int)first], tensor.Buffer, 0);
        for (var filled = first; filled < tensor.Buffer.Bytes; filled += first)
        {
            device.Copy(tensor.Buffer, 0, tensor.Buffer, filled, Math.Min(first, tensor.Buffer.Bytes - filled));
        }

        return tensor;
    }

    /// <summary>A row of integers; the caller disposes its buffer.</summary>
    public Tensor Integers(int rows, int[] values)
    {
        var tensor = ((IDevice)device).AllocateTensor(DType.I32, rows, values.Length / rows, MemoryPurpose.Workspace);
        device.CopyToDevice(MemoryMarshal.AsBytes<int>(values), tensor.Buffer, 0);
        return tensor;
    }

    // Sign and mantissa random, exponent of 2^-8 to 2^-4: nothing that rounds to zero or overflows in a product.
    private static ushort[] MakeNoise()
    {
        var random = new Random(1);
        var noise = new ushort[8 << 20];
        random.NextBytes(MemoryMarshal.AsBytes(noise.AsSpan()));
        for (var i = 0; i < noise.Length; i++)
        {
            var bits = noise[i];
            noise[i] = (ushort)((bits & 0x807F) | ((119 + ((bits >> 8) & 3)) << 7));
        }

        return noise;
    }
}
