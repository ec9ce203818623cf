using System.Runtime.InteropServices;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops;
using TensorParallel.Worker.Ops.Cpu;
using Xunit;

namespace TensorParallel.Worker.Tests.Ops;

/// <summary>
/// The CPU operations promise more than closeness: a token's row has the same bits at any number of threads, alone or
/// among others, and whatever the size of cache blocks. So the text of a request does not depend on what else is being
/// served.
/// </summary>
public sealed class CpuOpsInvarianceTests
{
    private readonly Random _random;

    public CpuOpsInvarianceTests(ITestOutputHelper output)
    {
        var seed = Random.Shared.Next();
        output.WriteLine($"seed {seed}");
        _random = new Random(seed);
    }

    [Theory]
    [InlineData(128)]
    [InlineData(256)]
    [InlineData(512)]
    public void MatMul_rows_have_the_same_bits_alone_and_together(int bits)
    {
        var (tokens, rows, columns) = (21, 77, 2500);
        var (x, weight) = (Floats(tokens * columns), Floats(rows * columns));
        var together = Multiply(x, weight, tokens, rows, columns, 3, (CpuVectorWidth)bits);
        Assert.Equal(together, Multiply(x, weight, tokens, rows, columns, 1, (CpuVectorWidth)bits));
        foreach (var (start, count) in ((int, int)[])[(0, 1), (5, 2), (7, 3), (1, 5), (2, 7), (20, 1), (4, 17)])
        {
            var part = x.AsSpan(start * columns, count * columns);
            var alone = Multiply(part, weight, count, rows, columns, 2, (CpuVectorWidth)bits);
            Assert.Equal(together.AsSpan(start * rows, count * rows).ToArray(), alone);
        }
    }

    [Theory]
    [InlineData(128)]
    [InlineData(256)]
    [InlineData(512)]
    public void Attention_rows_have_the_same_bits_alone_and_together(int bits)
    {
        var (context, heads) = (700, new HeadLayout(0, 4, 0, 2, 2, 32));
        var (fused, cache) = (Floats(context * heads.FusedColumns), Floats(context * 2 * 32));
        var width = (CpuVectorWidth)bits;
        foreach (var window in (int?[])[null, 300])
        {
            var together = Attend(fused, cache, heads, 0, context, 16, window, 3, width);
            Assert.Equal(together, Attend(fused, cache, heads, 0, context, 700, window, 1, width));
            foreach (var (first, rows) in ((int, int)[])[(699, 1), (300, 1), (255, 1), (256, 1), (511, 30), (3, 2)])
            {
                var part = fused.AsSpan(first * heads.FusedColumns, rows * heads.FusedColumns);
                var alone = Attend(part, cache, heads, first, rows, 7, window, 2, width);
                Assert.Equal(together.AsSpan(first * 128, rows * 128).ToArray(), alone);
            }
        }
    }

    private static float[] Multiply(
        ReadOnlySpan<float> x, float[] weight, int tokens, int rows, int columns, int threads, CpuVectorWidth width)
    {
        using var device = new CpuDevice("cpu:0", threads, poison: true);
        using var ops = new CpuOps(device, width);
        var output = Dense(device, new float[tokens * rows], tokens);
        ops.MatMul(Dense(device, x, tokens), Dense(device, weight, rows), null, output);
        return Download(device, output);
    }

    /// <summary>
    /// Rows first … of one sequence; its keys (and values, the same numbers) are [position, head, d].
    /// </summary>
    private static float[] Attend(
        ReadOnlySpan<float> fused, float[] cache, HeadLayout heads, int first, int rows, int blockTokens, int? window,
        int threads, CpuVectorWidth width)
    {
        using var device = new CpuDevice("cpu:0", threads, poison: true);
        using var ops = new CpuOps(device, width);
        var context = first + rows;
        var blocks = (context + blockTokens - 1) / blockTokens;
        var paged = new float[blocks * heads.KeyValueHeads * blockTokens * heads.HeadDim];
        for (var p = 0; p < context; p++)
        {
            for (var head = 0; head < heads.KeyValueHeads; head++)
            {
                var row = (((p / blockTokens * heads.KeyValueHeads) + head) * blockTokens) + (p % blockTokens);
                cache.AsSpan(((p * heads.KeyValueHeads) + head) * heads.HeadDim, heads.HeadDim)
                    .CopyTo(paged.AsSpan(row * heads.HeadDim));
            }
        }

        var keys = Dense(device, paged, paged.Length / heads.HeadDim);
        var step = new StepRows(
            rows, 1, Indices(device, [.. Enumerable.Range(first, rows)]), Indices(device, new int[rows]),
            Indices(device, [0, rows]), Indices(device, [.. Enumerable.Range(0, blocks)]), context, rows);
        var output = Dense(device, new float[rows * heads.QueryHeads * heads.HeadDim], rows);
        ops.Attention(
            Dense(device, fused, rows), heads, new AttentionOptions(0.4f, window), step,
            new KvLayerView(keys, keys, heads.KeyValueHeads, heads.HeadDim, blockTokens), output);
        return Download(device, output);
    }

    private static Tensor Dense(CpuDevice device, ReadOnlySpan<float> values, int rows)
    {
        var tensor = ((IDevice)device).AllocateTensor(DType.F32, rows, values.Length / rows, MemoryPurpose.Workspace);
        device.CopyToDevice(MemoryMarshal.AsBytes(values), tensor.Buffer, 0);
        return tensor;
    }

    private static Tensor Indices(CpuDevice device, int[] values)
    {
        var tensor = ((IDevice)device).AllocateTensor(DType.I32, 1, values.Length, MemoryPurpose.Workspace);
        device.CopyToDevice(MemoryMarshal.AsBytes<int>(values), tensor.Buffer, 0);
        return tensor;
    }

    private static float[] Download(CpuDevice device, Tensor tensor)
    {
        var values = new float[tensor.Rows * tensor.Columns];
        device.CopyToHost(tensor.Buffer, 0, MemoryMarshal.AsBytes(values.AsSpan()));
        return values;
    }

    private float[] Floats(int count) =>
        [.. Enumerable.Range(0, count).Select(_ => (float)((_random.NextDouble() * 2) - 1))];
}
