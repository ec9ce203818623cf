using System.Runtime.InteropServices;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Native;
using TensorParallel.Worker.Ops.Cuda;

namespace TensorParallel.Worker.Collectives.PeerMemory;

/// <summary>
/// Tries every way on small numbers before a model relies on them, because what a host's GPUs, drivers and containers allow shows
/// only when it is done.
/// </summary>
internal sealed class PeerCheck(PeerGroup group, RankExchange exchange, PeerPosts posts)
{
    private const int Columns = 4096;
    private const int RowColumns = 256;

    private readonly PeerCalls _calls = new(group);

    /// <summary>Why the group cannot be used, the same on all ranks, or null. Compiles the kernels first.</summary>
    public string? Problem() => exchange.FirstProblem(Compile()) ?? exchange.FirstProblem(Try());

    /// <summary>Why rows cannot be divided, the same on all ranks, or null. After <see cref="Problem"/> found none.</summary>
    public string? RowsProblem() =>
        exchange.FirstProblem(PeerRowCalls.IsWanted ? CompileRows() : $"{PeerRowCalls.Variable} is 0") ?? exchange.FirstProblem(TryRows());

    // Row r of the sum is a multiple of (r + i) % 8, whose root mean square is √17.5, so the norm is the same for any group.
    private string? TryRows()
    {
        const int Rows = 300;
        string? problem = null;
        var tensors = Enumerable.Range(0, 4).Select(i => ((IDevice)group.Device).AllocateTensor(
            DType.BF16, i == 0 ? 1 : Rows, RowColumns, MemoryPurpose.Scratch)).ToArray();
        var (weight, delta, residual, output) = (tensors[0], tensors[1], tensors[2], tensors[3]);
        var ones = Enumerable.Repeat(Bits(1), RowColumns).ToArray();
        group.Device.CopyToDevice(MemoryMarshal.AsBytes<ushort>(ones), weight.Buffer, 0);
        for (var round = 0; round < 2; round++)
        {
            var terms = Enumerable.Range(0, Rows * RowColumns).Select(i => Bits(RowTerm(i, round, group.Rank))).ToArray();
            group.Device.CopyToDevice(MemoryMarshal.AsBytes<ushort>(terms), delta.Buffer, 0);
            group.Device.Clear(residual.Buffer, 0, residual.Buffer.Bytes);
            new PeerRowCalls(group).SumNorm(delta, residual, weight, 0, output);
            var values = new ushort[Rows * RowColumns];
            group.Device.CopyToHost(output.Buffer, 0, MemoryMarshal.AsBytes(values.AsSpan()));
            var wrong = Array.FindIndex(Enumerable.Range(0, values.Length).ToArray(), i =>
                !(MathF.Abs(BitConverter.UInt32BitsToSingle((uint)values[i] << 16) - (RowTerm(i, round, 0) / MathF.Sqrt(17.5f))) < 0.02f));
            problem ??= group.HasFailed ? $"no answer within {group.Timeout.TotalSeconds:F0} s: divided rows, round {round}"
                : wrong >= 0 ? $"a wrong number came over: divided rows, round {round}, element {wrong}"
                : null;
        }

        Array.ForEach(tensors, t => t.Buffer.Dispose());
        return problem;
    }

    // Both halves of the mailboxes, twice. Every rank makes all calls, whatever it sees.
    private string? Try()
    {
        string? problem = null;
        using var one = group.Device.Allocate(Columns * sizeof(ushort), MemoryPurpose.Scratch);
        using var many = group.Device.Allocate(Columns * group.Size * sizeof(ushort), MemoryPurpose.Scratch);
        var x = new Tensor(one, 0, DType.BF16, 1, Columns, Columns);
        var whole = new Tensor(many, 0, DType.BF16, 1, Columns * group.Size, Columns * group.Size);
        for (var round = 0; round < 4; round++)
        {
            foreach (var twoShot in (bool[])[false, true])
            {
                Fill(x, round, group.Rank);
                _calls.Sum(x, twoShot);
                problem ??= Difference(x, $"{(twoShot ? "two shots" : "one shot")}, round {round}", i => Sum(i, round));
            }

            Fill(x, round, group.Rank);
            _calls.Gather(x, whole, [.. Enumerable.Repeat(Columns, group.Size)]);
            problem ??= Difference(whole, $"gather, round {round}", i => Term(i % Columns, round, i / Columns));
            var around = PostedAround(round); // whatever was seen before: the others wait for it
            problem ??= around;
        }

        return problem;
    }

    // Every rank posts to the next one. Its waits end by the group's timeout, as those of all calls.
    private string? PostedAround(int round)
    {
        var (next, before) = ((group.Rank + 1) % group.Size, (group.Rank + group.Size - 1) % group.Size);
        var x = ((IDevice)group.Device).AllocateTensor(DType.I32, 1, PeerPosts.MostWords, MemoryPurpose.Workspace);
        using var _ = x.Buffer;
        var values = Enumerable.Range(0, x.Columns).Select(i => Term(i, round, group.Rank)).ToArray();
        group.Device.CopyToDevice(MemoryMarshal.AsBytes<int>(values), x.Buffer, 0);
        posts.Post(x, next);
        posts.Take(x, before);
        group.Device.CopyToHost(x.Buffer, 0, MemoryMarshal.AsBytes(values.AsSpan()));
        var wrong = Array.FindIndex([.. Enumerable.Range(0, x.Columns)], i => values[i] != Term(i, round, before));
        return group.HasFailed ? $"no answer within {group.Timeout.TotalSeconds:F0} s: a message, round {round}"
            : wrong >= 0 ? $"a wrong number came over: a message, round {round}, element {wrong}"
            : null;
    }

    private string? Compile() => Load(
        CudaKernels.PeerSum(DType.BF16, group.Size),
        CudaKernels.PeerSumNorm(DType.BF16, DType.BF16, group.Size, 1),
        CudaKernels.PeerGather(group.Size),
        CudaKernels.PeerPost(group.Size),
        CudaKernels.Hold());

    private string? CompileRows() => Load(CudaKernels.PeerRows(DType.BF16, DType.BF16, group.Size, 1));

    private string? Load(params CudaKernel[] kernels)
    {
        try
        {
            Array.ForEach(kernels, kernel => group.Device.Modules.Get(kernel));
            return null;
        }
        catch (NativeException e)
        {
            return e.Message;
        }
    }

    private void Fill(Tensor x, int round, int rank)
    {
        var values = Enumerable.Range(0, x.Columns).Select(i => Bits(Term(i, round, rank))).ToArray();
        group.Device.CopyToDevice(MemoryMarshal.AsBytes<ushort>(values), x.Buffer, 0);
    }

    private string? Difference(Tensor x, string what, Func<int, int> expected)
    {
        var values = new ushort[x.Columns];
        group.Device.CopyToHost(x.Buffer, 0, MemoryMarshal.AsBytes(values.AsSpan()));
        if (group.HasFailed)
        {
            return $"no answer within {group.Timeout.TotalSeconds:F0} s: {what}";
        }

        var wrong = Array.FindIndex(Enumerable.Range(0, x.Columns).ToArray(), i => values[i] != Bits(expected(i)));
        return wrong < 0 ? null : $"a wrong number came over: {what}, element {wrong}";
    }

    // Small whole numbers: their sums, at most 8 · 9 / 2 · 7 = 252, are exact in bf16.
    private static int Term(int index, int round, int rank) => (rank + 1) * ((index + round) % 8);

    private static int RowTerm(int index, int round, int rank) => Term((index / RowColumns) + (index % RowColumns), round, rank);

    private int Sum(int index, int round) => Enumerable.Range(0, group.Size).Sum(rank => Term(index, round, rank));

    private static ushort Bits(int value) => (ushort)(BitConverter.SingleToUInt32Bits(value) >> 16);
}
