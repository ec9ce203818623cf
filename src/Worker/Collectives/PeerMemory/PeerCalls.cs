using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops.Cuda;

namespace TensorParallel.Worker.Collectives.PeerMemory;

/// <summary>
/// Launches the kernels that talk through mailboxes. They only queue work and can be captured. All blocks of a call can be on the
/// GPU at once, because they wait for peers: a call gets at most half as many as there are multiprocessors, each of which has room
/// for one (peer.cuh has the whole argument).
/// </summary>
internal sealed class PeerCalls(PeerGroup group)
{
    /// <summary>Elements of a row that one group of a fused norm's threads has, eight each.</summary>
    internal const int RowElements = RowThreads * 8;

    // Threads of a group of peer_sum_norm.cu, of which wide rows have two; each keeps eight elements in registers.
    private const int RowThreads = 512;
    private const int MostThreads = 512;
    private const int FewThreads = 128;

    private readonly CudaDevice _device = group.Device;

    private int MostBlocks => Math.Max(1, _device.Multiprocessors / 2);

    /// <summary>Whether <see cref="Sum"/> takes such a tensor.</summary>
    public bool CanSum(PeerShape shape, bool twoShot) => shape.Fits(group.Size, twoShot, PeerGroup.HalfBytes);

    /// <summary>x = Σ over ranks of x.</summary>
    public void Sum(Tensor x, bool twoShot)
    {
        var shape = PeerShape.Of(x);
        var arguments = new PeerArguments.Sum
        {
            Group = group.Arguments(PeerOperation.AllReduceSum, shape.SlotBytes(group.Size, twoShot), twoShot),
            X = x.Address,
            Stride = x.RowStride,
            Rows = shape.Rows,
            Columns = shape.Columns,
            RowItems = shape.RowItems,
            Aligned = shape.IsAligned ? 1 : 0,
        };
        var threads = FewThreads;
        while (threads < MostThreads && shape.Items > threads * MostBlocks)
        {
            threads *= 2;
        }

        var blocks = Math.Min(MostBlocks, (shape.Items + threads - 1) / threads);
        var kernel = _device.Modules.Get(CudaKernels.PeerSum(x.DType, group.Size));
        _device.Launch(kernel, new CudaGrid(blocks, 1, 1, threads), arguments);
    }

    /// <summary>Whether <see cref="SumNorm"/> takes such tensors: whole eights at multiples of 16 bytes, rows that fit registers.</summary>
    public static bool CanSumNorm(Tensor delta, Tensor residual, Tensor weight, Tensor output) =>
        CudaOperand.IsWide(delta) && CudaOperand.IsWide(residual) && CudaOperand.IsWide(weight) && CudaOperand.IsWide(output)
        && delta.Columns <= RowElements * MostKept(delta.DType, weight.DType);

    /// <summary>residual += Σ over ranks of delta; output = its norm.</summary>
    public void SumNorm(
        Tensor delta, Tensor residual, Tensor weight, float epsilon, Tensor output, bool twoShot, int wantedParts)
    {
        var shape = PeerShape.Of(delta, keepRows: true);
        var kept = (delta.Columns + RowElements - 1) / RowElements;
        var groups = _device.Capability >= 90 ? kept : 1;
        var least = groups; // blocks of up to 512 threads
        var rows = Math.Min(delta.Rows, MostBlocks / least);
        var parts = _device.Capability >= 90 ? Math.Max(wantedParts, least) : 1;
        while (parts > least && parts * rows > MostBlocks)
        {
            parts /= 2;
        }

        var arguments = new PeerArguments.SumNorm
        {
            Group = group.Arguments(PeerOperation.AllReduceAddRmsNorm, shape.SlotBytes(group.Size, twoShot), twoShot),
            Delta = delta.Address,
            Residual = residual.Address,
            Weight = weight.Address,
            Output = output.Address,
            DeltaStride = delta.RowStride,
            ResidualStride = residual.RowStride,
            OutputStride = output.RowStride,
            Rows = delta.Rows,
            Columns = delta.Columns,
            RowItems = shape.RowItems,
            Parts = parts,
            Epsilon = epsilon,
        };
        var kernel = _device.Modules.Get(CudaKernels.PeerSumNorm(delta.DType, weight.DType, group.Size, kept));
        _device.Launch(kernel, new CudaGrid(rows * parts, 1, 1, groups * RowThreads / parts, ClusterX: parts), arguments);
    }

    /// <summary>Whether <see cref="Gather"/> takes parts of so many elements.</summary>
    public bool CanGather(long mostElements) => group.Size * GatherSlot(mostElements) <= PeerGroup.HalfBytes;

    /// <summary>Joins column parts of 2-byte or 4-byte elements.</summary>
    public unsafe void Gather(Tensor part, Tensor whole, IReadOnlyList<int> columns)
    {
        var most = (long)columns.Max() * whole.Rows;
        var packets = (int)(GatherSlot(most) / 16);
        var arguments = new PeerArguments.Gather
        {
            Group = group.Arguments(PeerOperation.AllGatherColumns, GatherSlot(most), twoShot: false),
            Part = part.Address,
            Whole = whole.Address,
            PartStride = part.RowStride,
            WholeStride = whole.RowStride,
            Rows = whole.Rows,
            Element = whole.DType.SizeInBytes(),
            Packets = packets,
        };
        for (var rank = 0; rank < group.Size; rank++)
        {
            arguments.Widths[rank] = columns[rank];
        }

        var blocks = Math.Clamp((int)(((long)packets * group.Size) + MostThreads - 1) / MostThreads, 1, MostBlocks);
        var kernel = _device.Modules.Get(CudaKernels.PeerGather(group.Size));
        _device.Launch(kernel, new CudaGrid(blocks, 1, 1, MostThreads), arguments);
    }

    // Two elements a packet of 16 bytes, and one packet where there is nothing: everybody hears from everybody.
    private static long GatherSlot(long elements) => Math.Max(1, (elements + 1) / 2) * 16;

    // f32 rows take twice the registers.
    private static int MostKept(DType activation, DType weight) =>
        activation.SizeInBytes() == 2 && weight.SizeInBytes() == 2 ? 2 : 1;
}
