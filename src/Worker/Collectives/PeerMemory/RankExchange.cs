using System.Runtime.InteropServices;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Collectives.PeerMemory;

/// <summary>Passes small messages of the host between the ranks while a group is set up, by a collective that already works.</summary>
internal sealed class RankExchange(ICollective collective, IDevice device)
{
    /// <summary>Ranks.</summary>
    public int Size => collective.Size;

    /// <summary>This rank.</summary>
    public int Rank => collective.Rank;

    /// <summary>Every rank's message, in rank order; all have the same length, a multiple of 4.</summary>
    public byte[][] AllGather(ReadOnlySpan<byte> message)
    {
        var words = message.Length / sizeof(int);
        var own = device.AllocateTensor(DType.I32, 1, words, MemoryPurpose.Scratch);
        var all = device.AllocateTensor(DType.I32, 1, words * Size, MemoryPurpose.Scratch);
        using var disposed = own.Buffer;
        using var disposedToo = all.Buffer;
        device.CopyToDevice(message, own.Buffer, 0);
        collective.AllGatherColumns(own, all, [.. Enumerable.Repeat(words, Size)]);
        var bytes = new byte[message.Length * Size];
        device.CopyToHost(all.Buffer, 0, bytes);
        collective.ThrowIfFailed();
        return bytes.Chunk(message.Length).ToArray();
    }

    /// <summary>Rank 0's numbers on every rank.</summary>
    public long[] FromRankZero(params long[] numbers) =>
        MemoryMarshal.Cast<byte, long>(AllGather(MemoryMarshal.AsBytes<long>(numbers))[0]).ToArray();

    /// <summary>
    /// The first rank's problem, if any rank has one: the same answer on all ranks. Nobody goes on before all have asked.
    /// </summary>
    public string? FirstProblem(string? own)
    {
        const int Bytes = 512;
        var message = new byte[Bytes];
        System.Text.Encoding.UTF8.GetEncoder().Convert(own ?? string.Empty, message, flush: true, out _, out _, out _);
        var problems = AllGather(message).Select(m => System.Text.Encoding.UTF8.GetString(m).TrimEnd('\0')).ToArray();
        var rank = Array.FindIndex(problems, p => p.Length > 0);
        return rank < 0 ? null : $"rank {rank}: {problems[rank]}";
    }
}
