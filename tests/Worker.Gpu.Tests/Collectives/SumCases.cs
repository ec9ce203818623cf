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
        [.. new[] { 1, 2, 4, 8 }.Select(parts => PeerChoice.AlwaysOneShot.WithParts(parts)), PeerChoice.AlwaysTwoShot.WithParts(4)];

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
                [(1, 4096, 0), (1, 8, 8), (3, 2056, 8), (16, 4096, 0), (4, 8192, 0), (70, 64, 0), (150, 1024, 16), (1, 8192, 0), (2, 4096, 8), (2, 16384, 0)])
            {
                foreach (var choice in s_choices)
                {
                    collective.Choice = choice;
                    CheckFused(ops, dtype, rows, columns, gap);
                }
            }
        }
    }

    /// <summary>
    /// Divided rows against rows that every rank makes, twice over the same residual: the same normed rows, and the same residual
    /// after it was completed, to the bit.
    /// </summary>
    public void DividedIsUnfused()
    {
        collective.Choice = PeerChoice.AlwaysDivided;
        foreach (var (rows, columns, gap) in ((int, int, int)[])
            [(64, 64, 0), (65, 2056, 8), (77, collective.Size <= 4 ? 8192 : 4096, 0), (2100, 128, 16), (600, 4096, 0)])
        {
            CheckDivided(DType.BF16, rows, columns, gap);
        }

        CheckDivided(DType.F16, 71, 1024, 8);
    }

    private void CheckDivided(DType dtype, int rows, int columns, int gap)
    {
        var stride = columns + gap;
        var random = new Random(rows + columns);
        var weight = ((IDevice)device).AllocateTensor(dtype, 1, columns, MemoryPurpose.Workspace);
        Upload(device, weight, Values(random, columns));
        var tensors = Enumerable.Range(0, 6).Select(_ => ((IDevice)device).AllocateTensor(dtype, rows, stride, MemoryPurpose.Workspace)).ToArray();
        var residuals = Values(random, rows * stride);
        Array.ForEach(tensors, t => Upload(device, t, residuals));
        for (var round = 0; round < 2; round++)
        {
            var terms = Enumerable.Range(0, collective.Size).Select(_ => Values(random, rows * stride)).ToArray()[collective.Rank];
            Upload(device, tensors[0], terms);
            Upload(device, tensors[3], terms);
            var views = tensors.Select(t => t with { Columns = columns }).ToArray();
            Assert.True(collective.TryDividedAllReduceAddRmsNorm(views[0], views[1], weight, 1e-5f, views[2]));
            collective.Choice = PeerChoice.AlwaysOneShot;
            for (var row = 0; row < rows; row++)
            {
                Assert.True(collective.TryAllReduceAddRmsNorm(
                    views[3].RowsAt(row, 1), views[4].RowsAt(row, 1), weight, 1e-5f, views[5].RowsAt(row, 1)));
            }

            collective.Choice = PeerChoice.AlwaysDivided;
            device.Synchronize();
            collective.ThrowIfFailed();
            AssertSame(tensors[2], tensors[5], $"normed rows of [{rows}, {columns}], round {round}");
        }

        collective.CompleteRows(tensors[1]);
        AssertSame(tensors[1], tensors[4], $"residual [{rows}, {columns}]");
        collective.ThrowIfFailed();
        Array.ForEach([.. tensors, weight], t => t.Buffer.Dispose());

        void AssertSame(Tensor a, Tensor b, string what)
        {
            var (first, second) = (Download(device, a), Download(device, b));
            for (var i = 0; i < first.Length; i++)
            {
                Assert.True(first[i].Equals(second[i]), $"{dtype} {what}: element {i} is {first[i]} divided, {second[i]} by every rank");
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
