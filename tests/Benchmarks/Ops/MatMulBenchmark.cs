using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops.Cpu;

namespace TensorParallel.Benchmarks.Ops;

/// <summary>Matrix products in the shapes of Llama-3.2-1B.</summary>
internal static class MatMulBenchmark
{
    // Weights that one measurement walks through: more than any last-level cache, so that decode reads memory.
    private const long WalkedBytes = 1L << 30;
    private const int Layers = 16;

    private static readonly (string Name, int Rows, int Columns)[] s_shapes =
    [
        ("qkv", 3072, 2048), ("o", 2048, 2048), ("gate_up", 16384, 2048), ("down", 2048, 8192), ("head", 128256, 2048),
    ];

    /// <summary>
    /// One token: GB/s of weights beside the read bandwidth measured just before (that of a virtual machine drifts), and what
    /// the products of a whole token take: 16 layers and the head.
    /// </summary>
    public static void RunDecode(int threads)
    {
        foreach (var dtype in (DType[])[DType.BF16, DType.F32, DType.F16])
        {
            var (token, floor) = (0.0, 0.0);
            foreach (var (name, rows, columns) in s_shapes)
            {
                var bandwidth = MachineBenchmark.ReadGBytes(threads);
                var bytes = (double)rows * columns * dtype.SizeInBytes();
                var time = Time(threads, dtype, 1, rows, columns);
                var rate = bytes / 1e9 / time.Seconds;
                Console.WriteLine(
                    $"  {dtype,-4} {name,-7} {rate,6:F1} GB/s (median {bytes / 1e9 / time.Median,5:F1})  " +
                    $"{rate / bandwidth,4:P0} of {bandwidth:F1}");
                var times = name == "head" ? 1 : Layers;
                token += times * time.Seconds;
                floor += times * bytes / 1e9 / bandwidth;
            }

            Console.WriteLine(
                $"  {dtype,-4} token   {token * 1e3,6:F1} ms, reading alone {floor * 1e3:F1} ms: {floor / token:P0}");
        }
    }

    /// <summary>Few tokens, from one stream of weights to a full tile: time of one product, and rates.</summary>
    public static void RunBatch(int threads)
    {
        foreach (var tokens in (int[])[1, 2, 3, 4, 6, 8, 12, 16, 24, 32])
        {
            Print(threads, DType.BF16, tokens, s_shapes[2]);
        }
    }

    /// <summary>Many tokens: GFLOP/s.</summary>
    public static void RunPrefill(int threads)
    {
        var peak = MachineBenchmark.PeakGFlops(threads);
        Console.WriteLine($"  FMA peak {peak:F0} GFLOP/s");
        foreach (var tokens in (int[])[16, 128, 512])
        {
            foreach (var shape in s_shapes[..4])
            {
                Print(threads, DType.BF16, tokens, shape, peak);
            }
        }

        Print(threads, DType.F32, 128, s_shapes[2], peak);
        Print(threads, DType.F16, 128, s_shapes[2], peak);
    }

    private static void Print(
        int threads, DType dtype, int tokens, (string Name, int Rows, int Columns) shape, double? peak = null)
    {
        var time = Time(threads, dtype, tokens, shape.Rows, shape.Columns);
        var weights = (double)shape.Rows * shape.Columns;
        var flops = 2 * weights * tokens / time.Seconds / 1e9;
        Console.WriteLine(
            $"  {dtype,-4} {shape.Name,-7} T {tokens,3}  {time.Seconds * 1e3,8:F2} ms " +
            $"(median {time.Median * 1e3,8:F2})  " +
            $"{weights * dtype.SizeInBytes() / time.Seconds / 1e9,6:F1} GB/s  {flops,6:F0} GFLOP/s  " +
            (peak is { } most ? $"{flops / most:P0} of peak" : ""));
    }

    /// <summary>Times single products, each with the next copy of the weight.</summary>
    private static Best Time(int threads, DType dtype, int tokens, int rows, int columns)
    {
        using var device = new CpuDevice("cpu:0", threads, long.MaxValue);
        using var ops = new CpuOps(device);
        var bytes = (long)rows * columns * dtype.SizeInBytes();
        var copies = (int)Math.Max(1, WalkedBytes / bytes);
        var all = device.Allocate(bytes * copies, MemoryPurpose.Weights);
        Fill(device, all, dtype);
        IDevice allocator = device;
        var x = allocator.AllocateTensor(DType.F32, tokens, columns, MemoryPurpose.Workspace);
        Fill(device, x.Buffer, DType.F32);
        var output = allocator.AllocateTensor(DType.F32, tokens, rows, MemoryPurpose.Workspace);
        var next = 0;
        return Best.Of(
            () =>
            {
                var weight = new Tensor(all, next * bytes, dtype, rows, columns, columns);
                ops.MatMul(x, weight, null, output);
                next = (next + 1) % copies;
            },
            1.5);
    }

    /// <summary>Small numbers of the dtype, the same few over and over.</summary>
    internal static void Fill(CpuDevice device, DeviceBuffer buffer, DType dtype)
    {
        var random = new Random(1);
        var values = new byte[1 << 20];
        for (var i = 0; i < values.Length; i += dtype.SizeInBytes())
        {
            var value = (float)(random.NextDouble() - 0.5);
            var bits = BitConverter.SingleToUInt32Bits(value);
            _ = dtype switch
            {
                DType.F32 => BitConverter.TryWriteBytes(values.AsSpan(i), value),
                DType.F16 => BitConverter.TryWriteBytes(values.AsSpan(i), (Half)value),
                _ => BitConverter.TryWriteBytes(values.AsSpan(i), (ushort)(bits >> 16)),
            };
        }

        for (long at = 0; at < buffer.Bytes; at += values.Length)
        {
            device.CopyToDevice(values.AsSpan(0, (int)Math.Min(values.Length, buffer.Bytes - at)), buffer, at);
        }
    }
}
