using System.Runtime.InteropServices;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Collectives.PeerMemory;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops.Cuda;
using Xunit;

namespace TensorParallel.Worker.Gpu.Tests.Collectives;

/// <summary>Sums, alone and with residual and norm, over shapes, dtypes and ways, on one rank of a group.</summary>
internal sealed class SumCases(PeerMemoryCollective collective, CudaDevice device)
{
    private static readonly PeerChoice[] s_choices =
        [.. new[] { 1, 2, 4, 8 }.Select(parts => PeerChoice.AlwaysOneShot with { RowParts = parts }), PeerChoice.AlwaysTwoShot with { RowParts = 4 }];

    /// <summary>A whole number whose sums over eight ranks are exact in bf16.</summary>
    public static float Term(int call, int rank) => 1 + ((call + (3 * rank)) % 16);

    /// <summary>Fills a dense tensor.</summary>
    public static void Upload(CudaDevice device, Tensor tensor, IEnumerable<float> values)
    {
        var bytes = tensor.DType switch
        {
            DType.F32 => MemoryMarshal.AsBytes(values.ToArray().AsSpan()).ToArray(),
            DType.F16 => MemoryMarshal.AsBytes(values.Select(v => (Half)v).ToArray().AsSpan()).ToArray(),
            _ => MemoryMarshal.AsBytes(values.Select(ToBFloat16).ToArray().AsSpan()).ToArray(),
        };
        device.CopyToDevice(bytes, tensor.Buffer, tensor.OffsetBytes);
    }

    /// <summary>Reads a dense tensor.</summary>
    public static float[] Download(CudaDevice device, Tensor tensor)
    {
        var bytes = new byte[tensor.Rows * tensor.Columns * tensor.DType.SizeInBytes()];
        device.CopyToHost(tensor.Buffer, tensor.OffsetBytes, bytes);
        return tensor.DType switch
        {
            DType.F32 => MemoryMarshal.Cast<byte, float>(bytes).ToArray(),
            DType.F16 => [.. MemoryMarshal.Cast<byte, Half>(bytes).ToArray().Select(h => (float)h)],
            _ => [.. MemoryMarshal.Cast<byte, ushort>(bytes).ToArray().Select(b => BitConverter.UInt32BitsToSingle((uint)b << 16))],
        };
    }

    /// <summary>Any columns, offsets and strides; what stands between the rows stays.</summary>
    public void EveryShape()
    {
        foreach (var dtype in CudaElement.All)
        {
            foreach (var (rows, columns, stride, offset) in ((int, int, int, int)[])
                [(1, 1, 1, 0), (1, 7, 7, 1), (3, 5, 9, 0), (16, 4096, 4096, 0), (16, 4096, 4104, 8), (5, 1001, 1003, 3), (64, 4096, 4096, 0), (1, 8192, 8192, 0)])
            {
                foreach (var choice in s_choices)
                {
                    collective.Choice = choice;
                    CheckSum(dtype, rows, columns, stride, offset);
                }
            }
        }
    }

    /// <summary>The fused call against sum, then add-and-norm: the residual to the bit, the norm to its last place.</summary>
    public void FusedIsUnfused()
    {
        using var ops = new CudaOps(device);
        foreach (var dtype in CudaElement.All)
        {
            foreach (var (rows, columns, gap) in ((int, int, int)[])
                [(1, 4096, 0), (1, 8, 8), (3, 2056, 8), (16, 4096, 0), (4, 8192, 0), (70, 64, 0), (150, 1024, 16), (2, 16384, 0)])
            {
                foreach (var choice in s_choices)
                {
                    collective.Choice = choice;
                    CheckFused(ops, dtype, rows, columns, gap);
                }
            }
        }
    }

    private void CheckSum(DType dtype, int rows, int columns, int stride, int offset)
    {
        var size = dtype.SizeInBytes();
        using var buffer = device.Allocate(((long)rows * stride + offset) * size, MemoryPurpose.Workspace);
        var all = new Tensor(buffer, 0, dtype, 1, (rows * stride) + offset, (rows * stride) + offset);
        var x = new Tensor(buffer, (long)offset * size, dtype, rows, columns, stride);
        Upload(device, all, Enumerable.Range(0, all.Columns).Select(i => Term(i, collective.Rank)));
        collective.AllReduceSum(x);
        var actual = Download(device, all);
        collective.ThrowIfFailed();
        for (var i = 0; i < actual.Length; i++)
        {
            var isInside = i >= offset && (i - offset) % stride < columns;
            var expected = isInside ? Enumerable.Range(0, collective.Size).Sum(rank => Term(i, rank)) : Term(i, collective.Rank);
            Assert.True(
                expected == actual[i],
                $"{dtype} [{rows}, {columns}] stride {stride} offset {offset}, {collective.Choice}: element {i} is {actual[i]}, not {expected}");
        }
    }

    private void CheckFused(CudaOps ops, DType dtype, int rows, int columns, int gap)
    {
        var random = new Random(rows + columns);
        var stride = columns + gap;
        var residuals = Values(random, rows * stride);
        var weights = Values(random, columns);
        var deltas = Enumerable.Range(0, collective.Size).Select(_ => Values(random, rows * stride)).ToArray();
        var (delta, residual, normed) = (Wide(), Wide(), Wide());
        var (deltaAlone, residualAlone, normedAlone) = (Wide(), Wide(), Wide());
        var weight = ((IDevice)device).AllocateTensor(dtype, 1, columns, MemoryPurpose.Workspace);
        Upload(device, weight, weights);
        foreach (var (tensor, values) in ((Tensor, float[])[])
            [(delta, deltas[collective.Rank]), (deltaAlone, deltas[collective.Rank]), (residual, residuals), (residualAlone, residuals),
             (normed, residuals), (normedAlone, residuals)])
        {
            Upload(device, tensor with { Columns = stride }, values);
        }

        var isFused = collective.TryAllReduceAddRmsNorm(delta, residual, weight, 1e-5f, normed);
        var isExpected = columns <= (dtype == DType.F32 ? 4096 : 8192)
            && (collective.Choice.OneShotBytes > 0 || rows * ((columns * dtype.SizeInBytes() + 15) / 16) > 32 * (collective.Size - 1));
        Assert.True(isFused == isExpected, $"{dtype} [{rows}, {columns}] {collective.Choice}: fused {isFused}");
        collective.AllReduceSum(deltaAlone);
        ops.AddRmsNorm(residualAlone, deltaAlone, weight, 1e-5f, normedAlone);
        if (isFused)
        {
            Same(residual, residualAlone, 0);
            Same(normed, normedAlone, dtype == DType.BF16 ? 1f / 128 : dtype == DType.F16 ? 1f / 1024 : 1e-6f);
        }

        collective.ThrowIfFailed();
        foreach (var tensor in (Tensor[])[delta, residual, normed, deltaAlone, residualAlone, normedAlone, weight])
        {
            tensor.Buffer.Dispose();
        }

        Tensor Wide() => ((IDevice)device).AllocateTensor(dtype, rows, stride, MemoryPurpose.Workspace) with { Columns = columns };

        void Same(Tensor a, Tensor b, float relative)
        {
            var (first, second) = (Download(device, a with { Columns = stride }), Download(device, b with { Columns = stride }));
            for (var i = 0; i < first.Length; i++)
            {
                Assert.True(
                    MathF.Abs(first[i] - second[i]) <= relative * MathF.Abs(second[i]),
                    $"{dtype} [{rows}, {columns}] {collective.Choice}: element {i} is {first[i]} in one, {second[i]} one after the other");
            }
        }
    }

    private static float[] Values(Random random, int count) => [.. Enumerable.Range(0, count).Select(_ => random.NextSingle() - 0.5f)];

    private static ushort ToBFloat16(float value)
    {
        var bits = BitConverter.SingleToUInt32Bits(value);
        return (ushort)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
    }
}
