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
internal sealed class PeerCheck(PeerGroup group, RankExchange exchange)
{
    private const int Columns = 4096;

    private readonly PeerCalls _calls = new(group);

    /// <summary>Why the group cannot be used, the same on all ranks, or null. Compiles the kernels first.</summary>
    public string? Problem() => exchange.FirstProblem(Compile()) ?? exchange.FirstProblem(Try());

    // Both halves of the mailboxes, twice. Every rank makes all calls, whatever it sees.
    private string? Try()
    {
        string? problem = null;
        using var one = group.Device.Allocate(Columns * sizeof(ushort), MemoryPurpose.Workspace);
        using var many = group.Device.Allocate(Columns * group.Size * sizeof(ushort), MemoryPurpose.Workspace);
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
        }

        return problem;
    }

    private string? Compile()
    {
        try
        {
            _ = group.Device.Modules.Get(CudaKernels.PeerSum(DType.BF16, group.Size));
            _ = group.Device.Modules.Get(CudaKernels.PeerSumNorm(DType.BF16, DType.BF16, group.Size, 1));
            _ = group.Device.Modules.Get(CudaKernels.PeerGather(group.Size));
            _ = group.Device.Modules.Get(CudaKernels.Hold());
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

    private int Sum(int index, int round) => Enumerable.Range(0, group.Size).Sum(rank => Term(index, round, rank));

    private static ushort Bits(int value) => (ushort)(BitConverter.SingleToUInt32Bits(value) >> 16);
}
