using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops.Cuda;

namespace TensorParallel.Worker.Collectives.PeerMemory;

/// <summary>
/// Sums with residual and norm of many rows, in pieces of at most <see cref="PeerGroup.PieceBytes"/>: every rank makes its share of
/// each piece's rows. Only queues work and can be captured. Example: 8,192 rows of 8 KiB are two pieces of 4,096, of which rank 1 of
/// 2 makes rows 2,048 … 4,095 and 6,144 … 8,191.
/// </summary>
internal sealed class PeerRowCalls(PeerGroup group)
{
    /// <summary>Set to 0 on all ranks, rows are never divided.</summary>
    internal const string Variable = "TP_PEER_MEMORY_ROWS";

    private const int Threads = PeerCalls.RowElements / 8;

    private readonly CudaDevice _device = group.Device;

    // Eights of a row that a thread keeps: beside the addresses of more than four peers a second one spills from its 128 registers.
    private int MostKept => group.Size <= 4 ? 2 : 1;

    /// <summary>Whether groups use this at all.</summary>
    public static bool IsWanted => Environment.GetEnvironmentVariable(Variable) != "0";

    /// <summary>Whether <see cref="SumNorm"/> takes such tensors: rows of 2-byte elements, whole eights at multiples of 16 bytes.</summary>
    public bool CanSumNorm(Tensor delta, Tensor residual, Tensor weight, Tensor output) =>
        delta.DType.SizeInBytes() == 2 && delta.Columns <= PeerCalls.RowElements * MostKept && delta.Rows >= group.Size * group.Size
        && CudaOperand.IsWide(delta) && CudaOperand.IsWide(residual) && CudaOperand.IsWide(weight) && CudaOperand.IsWide(output);

    /// <summary>For this rank's rows, residual += Σ over ranks of delta; for all, output = norm of the new residual.</summary>
    public void SumNorm(Tensor delta, Tensor residual, Tensor weight, float epsilon, Tensor output)
    {
        foreach (var (first, rows) in Pieces(delta.Rows, delta.Columns))
        {
            Launch(delta.RowsAt(first, rows), residual.RowsAt(first, rows), weight, epsilon, output.RowsAt(first, rows));
        }
    }

    /// <summary>First row and number of the rows that a rank makes, one for each piece.</summary>
    public IEnumerable<(int First, int Rows)> SharesOf(int rank, int rows, int columns) =>
        Pieces(rows, columns).Select(piece => Share(rank, group.Size, piece));

    /// <summary>One rank's share of a piece, as peer_rows.cu reckons it.</summary>
    internal static (int First, int Rows) Share(int rank, int ranks, (int First, int Rows) piece)
    {
        var start = (int)((long)piece.Rows * rank / ranks);
        return (piece.First + start, (int)((long)piece.Rows * (rank + 1) / ranks) - start);
    }

    /// <summary>Pieces of about the same number of rows, so that none is too short to be divided.</summary>
    internal static IEnumerable<(int First, int Rows)> Pieces(int rows, int columns)
    {
        var most = PeerGroup.PieceBytes / (columns * sizeof(ushort));
        var pieces = (int)((rows + most - 1) / most);
        for (var i = 0; i < pieces; i++)
        {
            yield return Share(i, pieces, (0, rows));
        }
    }

    /// <summary>Lanes: as many blocks as fit on the GPU at once (peer_rows.cu), none without a row.</summary>
    internal static int Lanes(int multiprocessors, int ranks, int kept, int rows) => Math.Min(
        Math.Min(multiprocessors * (kept == 1 && ranks <= 4 ? 2 : 1), PeerGroup.MostLanes), (rows + ranks - 1) / ranks);

    private void Launch(Tensor delta, Tensor residual, Tensor weight, float epsilon, Tensor output)
    {
        var longest = (delta.Rows + group.Size - 1) / group.Size;
        var arguments = new PeerArguments.Rows
        {
            Group = group.Arguments(
                PeerOperation.AllReduceAddRmsNorm, (long)longest * delta.Columns * sizeof(ushort), twoShot: false),
            Delta = delta.Address,
            Residual = residual.Address,
            Weight = weight.Address,
            Output = output.Address,
            DeltaStride = delta.RowStride,
            ResidualStride = residual.RowStride,
            OutputStride = output.RowStride,
            Flags = PeerGroup.FlagsOffset,
            Parts = PeerGroup.PartsOffset,
            Results = PeerGroup.ResultsOffset,
            RowCount = delta.Rows,
            Columns = delta.Columns,
            Epsilon = epsilon,
        };
        var kept = (delta.Columns + PeerCalls.RowElements - 1) / PeerCalls.RowElements;
        var lanes = Lanes(_device.Multiprocessors, group.Size, kept, delta.Rows);
        var kernel = _device.Modules.Get(CudaKernels.PeerRows(delta.DType, weight.DType, group.Size, kept));
        _device.Launch(kernel, new CudaGrid(lanes, 1, 1, Threads), arguments);
    }
}
