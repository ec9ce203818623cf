using System.Numerics;

namespace TensorParallel.Worker.Collectives.SharedMemory;

/// <summary>
/// Where everything stands in the segment of one group:
/// <code>
/// 0        header   magic, sizes, poison word                       one page
/// 4096     ranks    arrival | doorbell | state, 128 bytes each      3 lines a rank
///          rings    written | read lines, then the ring's bytes     one an ordered pair (from, to)
///          slots    two a rank, used in turn by even and odd phases
/// </code>
/// Lines are 128 bytes because processors prefetch cache lines in pairs. Example: 2 ranks, slots of 1 MiB, rings of 256
/// KiB: 4 MiB of slots + 0.5 MiB of rings + 6 KiB.
/// </summary>
/// <param name="Size">Number of ranks, 2 … <see cref="MaxSize"/>.</param>
/// <param name="SlotBytes">Bytes of one slot; a multiple of <see cref="LineBytes"/>.</param>
/// <param name="RingBytes">Bytes of one ring; a power of two, at least <see cref="MinRingBytes"/>.</param>
internal readonly record struct SharedMemoryLayout(int Size, int SlotBytes, int RingBytes)
{
    internal const int MaxSize = 64;
    internal const int LineBytes = 128;
    internal const int MaxSlotBytes = 1 << 20;
    // Twice what may be posted and not taken, so that nobody who posts waits, whatever stands between the messages.
    internal const int MinRingBytes = 2 * ICollective.MostPosted * ICollective.MostPostedBytes;
    internal const int MaxRingBytes = 1 << 18;

    internal const int MagicOffset = 0;
    internal const int SizesOffset = 8;
    internal const int PoisonOffset = LineBytes;

    internal const int ArrivalLine = 0;
    internal const int DoorbellLine = 1;
    internal const int StateLine = 2;
    internal const int LinesPerRank = 3;
    private const int HeaderBytes = 4096;

    /// <summary>Bytes of the whole segment.</summary>
    public long TotalBytes => Slot(Size, 0);

    private long RingsOffset => HeaderBytes + ((long)Size * LinesPerRank * LineBytes);

    private long RingStride => (2 * LineBytes) + (long)RingBytes;

    /// <summary>
    /// Layout for tensors of up to <paramref name="maxMessageBytes"/>: larger ones than a slot go in chunks, so that a
    /// group needs little of a container's usual 64 MiB of shared memory. Eight ranks: 16 slots of 1 MiB and 56 rings
    /// of 64 KiB, 19.5 MiB.
    /// </summary>
    public static SharedMemoryLayout For(int size, long maxMessageBytes)
    {
        var slot = (int)Math.Clamp(RoundUp(maxMessageBytes, LineBytes), 4096, MaxSlotBytes);
        var ring = (int)BitOperations.RoundUpToPowerOf2(
            (ulong)Math.Clamp(maxMessageBytes, MinRingBytes, size <= 4 ? MaxRingBytes : MaxRingBytes / 4));
        return new SharedMemoryLayout(size, slot, ring);
    }

    /// <summary>Null when the sizes are possible ones; else what is wrong.</summary>
    public string? Problem()
    {
        return Size is < 2 or > MaxSize ? $"{Size} ranks (2 to {MaxSize} are possible)"
            : SlotBytes is < LineBytes or > MaxSlotBytes || SlotBytes % LineBytes != 0 ? $"slots of {SlotBytes} bytes"
            : RingBytes is < MinRingBytes or > MaxRingBytes || !BitOperations.IsPow2(RingBytes)
                ? $"rings of {RingBytes} bytes"
            : null;
    }

    /// <summary>Offset of a line of one rank.</summary>
    public static long Line(int rank, int line) => HeaderBytes + (((long)rank * LinesPerRank) + line) * LineBytes;

    /// <summary>
    /// Offset of the ring that carries bytes from one rank to another; its counters stand in its first two lines.
    /// </summary>
    public long Ring(int from, int to) =>
        RingsOffset + ((((long)from * (Size - 1)) + (to < from ? to : to - 1)) * RingStride);

    /// <summary>Offset of a rank's slot for even (0) or odd (1) phases.</summary>
    public long Slot(int rank, int parity) =>
        RingsOffset + ((long)Size * (Size - 1) * RingStride) + (((2L * rank) + parity) * SlotBytes);

    private static long RoundUp(long value, long unit) => (Math.Min(value, int.MaxValue) + unit - 1) / unit * unit;
}
