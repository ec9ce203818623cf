using System.Runtime.CompilerServices;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Collectives.SharedMemory;

/// <summary>
/// One rank of a group in shared memory; used, and disposed, by one thread.
/// <para>
/// Calls of the whole group are made of phases: fill the own slot, arrive, wait until all have arrived, read the peers'
/// slots. A rank has two slots, for even and for odd phases. A slot may be refilled two phases later without another
/// wait: whoever has arrived at phase k + 1 is done reading phase k, and this rank waits for all of them there.
/// </para>
/// <para>Messages between two ranks run through a ring of bytes each way (<see cref="SharedMemoryRing"/>).</para>
/// </summary>
internal sealed unsafe class SharedMemoryCollective : ICollective
{
    /// <summary>
    /// While the ranks' vectors together are no larger, every rank sums all of them: one wait. Above, each sums its
    /// slice and fetches the others' sums: less to read, but two waits, and a wait that has to sleep costs as much as
    /// reading 200 KiB.
    /// </summary>
    private const int OneShotBytes = 1 << 17;

    private readonly SharedMemorySegment _segment;
    private readonly PeerWaits _waits;
    private readonly SharedMemoryRing?[] _sending;
    private readonly SharedMemoryRing?[] _receiving;
    private long _phase;
    private long _calls;
    private bool _disposed;

    private SharedMemoryCollective(SharedMemorySegment segment, int rank, TimeSpan timeout)
    {
        _segment = segment;
        Rank = rank;
        Size = segment.Layout.Size;
        _waits = new PeerWaits(segment, rank, timeout);
        _sending = new SharedMemoryRing?[Size];
        _receiving = new SharedMemoryRing?[Size];
    }

    private enum Operation : byte
    {
        Join = 1,
        AllReduceSum,
        AllGatherColumns,
        Broadcast,
        Barrier,
    }

    public string Name => SharedMemoryBackend.BackendName;

    public int Rank { get; }

    public int Size { get; }

    /// <summary>
    /// Waits for all ranks, then removes the segment's name. Owns the segment from here on, also when it throws.
    /// </summary>
    public static SharedMemoryCollective Join(SharedMemorySegment segment, int rank, TimeSpan timeout)
    {
        var collective = new SharedMemoryCollective(segment, rank, timeout);
        try
        {
            collective._waits.Join();
            collective.RunPhase(collective.Begin(Operation.Join), Tag(Operation.Join, 0));
            segment.Unlink();
            return collective;
        }
        catch
        {
            collective.Dispose();
            throw;
        }
    }

    public void AllReduceSum(Tensor x)
    {
        var call = Begin(Operation.AllReduceSum);
        GroupCalls.CheckSummable(x);
        var bytes = TensorBytes.Of(x, nameof(x));
        var tag = Tag(Operation.AllReduceSum, bytes.Length);
        if (bytes.Length <= Math.Min(OneShotBytes / Size, _segment.Layout.SlotBytes))
        {
            SumWhole(bytes, call, tag);
            return;
        }

        for (long start = 0; start < bytes.Length; start += _segment.Layout.SlotBytes)
        {
            SumSliced(bytes, start, (int)Math.Min(_segment.Layout.SlotBytes, bytes.Length - start), call, tag);
        }
    }

    public void AllGatherColumns(Tensor part, Tensor whole, IReadOnlyList<int> columns)
    {
        var call = Begin(Operation.AllGatherColumns);
        GroupCalls.CheckGather(part, whole, columns, Rank, Size);
        var own = TensorBytes.Of(part, nameof(part));
        Span<TensorBytes> targets = stackalloc TensorBytes[Size];
        long longest = 0;
        long tag = whole.Rows;
        for (int r = 0, offset = 0; r < Size; offset += columns[r], r++)
        {
            targets[r] = TensorBytes.Of(whole.ColumnsAt(offset, columns[r]), nameof(whole));
            longest = Math.Max(longest, targets[r].Length);
            tag = unchecked((tag * 31) + targets[r].Length);
        }

        for (long start = 0; start < longest; start += _segment.Layout.SlotBytes)
        {
            own.CopyTo(start, Slot(Rank, _phase + 1)[..ChunkBytes(own.Length, start)]);
            RunPhase(call, Tag(Operation.AllGatherColumns, tag));
            for (var r = 0; r < Size; r++)
            {
                targets[r].CopyFrom(start, Slot(r, _phase)[..ChunkBytes(targets[r].Length, start)]);
            }
        }
    }

    public void Broadcast(Tensor x, int root)
    {
        var call = Begin(Operation.Broadcast);
        GroupCalls.CheckPeer(root, Size, nameof(root));
        var bytes = TensorBytes.Of(x, nameof(x));
        for (long start = 0; start < bytes.Length; start += _segment.Layout.SlotBytes)
        {
            var chunk = ChunkBytes(bytes.Length, start);
            if (Rank == root)
            {
                bytes.CopyTo(start, Slot(Rank, _phase + 1)[..chunk]);
            }

            RunPhase(call, Tag(Operation.Broadcast, (bytes.Length * Size) + root));
            if (Rank != root)
            {
                bytes.CopyFrom(start, Slot(root, _phase)[..chunk]);
            }
        }
    }

    public void Send(Tensor x, int peer)
    {
        var ring = RingTo(_sending, peer, true);
        ring.Send(TensorBytes.Of(x, nameof(x)), new CallSite(nameof(Send), ++_calls));
    }

    public void Receive(Tensor x, int peer)
    {
        var ring = RingTo(_receiving, peer, false);
        ring.Receive(TensorBytes.Of(x, nameof(x)), new CallSite(nameof(Receive), ++_calls));
    }

    public void Barrier() => RunPhase(Begin(Operation.Barrier), Tag(Operation.Barrier, 0));

    public void Dispose()
    {
        if (!_disposed)
        {
            _disposed = true;
            Disposal.Run(_waits.Leave, _segment.Dispose);
        }
    }

    private void SumWhole(TensorBytes x, CallSite call, long tag)
    {
        if (x.Length == 0)
        {
            return;
        }

        x.CopyTo(0, Slot(Rank, _phase + 1)[..(int)x.Length]);
        RunPhase(call, tag);
        Span<nint> sources = stackalloc nint[Size];
        for (long done = 0; done < x.Length;)
        {
            var piece = x.Piece(done, (int)(x.Length - done));
            FillSources(sources, _phase, done);
            RankOrderSum.Sum(sources, AsFloats(piece), piece.Length / sizeof(float));
            done += piece.Length;
        }
    }

    private void SumSliced(TensorBytes x, long start, int bytes, CallSite call, long tag)
    {
        // Phase 1: everybody's summands. The own slice is never read by others.
        var slice = Slice(Rank, bytes);
        var slot = Slot(Rank, _phase + 1);
        x.CopyTo(start, slot[..slice.Start]);
        x.CopyTo(start + slice.End, slot[slice.End..bytes]);
        RunPhase(call, tag);

        Span<nint> sources = stackalloc nint[Size];
        var sums = Slot(Rank, _phase + 1);
        for (var done = slice.Start; done < slice.End;)
        {
            var piece = x.Piece(start + done, slice.End - done);
            FillSources(sources, _phase, done);
            sources[Rank] = (nint)AsFloats(piece);
            RankOrderSum.Sum(sources, AsFloats(sums[done..]), piece.Length / sizeof(float));
            sums.Slice(done, piece.Length).CopyTo(piece);
            done += piece.Length;
        }

        // Phase 2: everybody's sums.
        RunPhase(call, tag);
        for (var r = 0; r < Size; r++)
        {
            if (r != Rank)
            {
                var of = Slice(r, bytes);
                x.CopyFrom(start + of.Start, Slot(r, _phase)[of.Start..of.End]);
            }
        }
    }

    private void FillSources(Span<nint> sources, long phase, long offset)
    {
        for (var r = 0; r < sources.Length; r++)
        {
            sources[r] = (nint)(_segment.At(_segment.Layout.Slot(r, (int)(phase & 1))) + offset);
        }
    }

    /// <summary>
    /// Bytes of a chunk that a rank sums: whole cache lines. Example: 100,000 bytes, 3 ranks: 33,408, 33,408, 33,184.
    /// </summary>
    private (int Start, int End) Slice(int rank, int bytes)
    {
        const int Line = SharedMemoryLayout.LineBytes;
        var lines = (((bytes + Line - 1) / Line) + Size - 1) / Size;
        return (Math.Min(bytes, rank * lines * Line), Math.Min(bytes, (rank + 1) * lines * Line));
    }

    private int ChunkBytes(long length, long start) => (int)Math.Clamp(length - start, 0, _segment.Layout.SlotBytes);

    private Span<byte> Slot(int rank, long phase) =>
        new(_segment.At(_segment.Layout.Slot(rank, (int)(phase & 1))), _segment.Layout.SlotBytes);

    private CallSite Begin(Operation operation)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        return new CallSite(operation.ToString(), ++_calls);
    }

    private SharedMemoryRing RingTo(SharedMemoryRing?[] rings, int peer, bool sending)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (peer == Rank || peer < 0 || peer >= Size)
        {
            throw GroupCalls.NoSuchPeer(peer, Size);
        }

        return rings[peer] ??= sending
            ? new SharedMemoryRing(_segment, _waits, Rank, peer, peer)
            : new SharedMemoryRing(_segment, _waits, peer, Rank, peer);
    }

    /// <summary>
    /// Arrives with what the own slot of the next phase holds and waits until everybody has; then it is the current
    /// phase.
    /// </summary>
    private void RunPhase(CallSite call, long tag)
    {
        var phase = ++_phase;
        Tags(Rank)[phase & 1] = tag;
        _waits.Arrive(phase);
        _waits.ForAll(phase, call);
        for (var r = 0; r < Size; r++)
        {
            // A peer cannot overwrite this tag before this rank arrives at the next phase.
            if (Tags(r)[phase & 1] != tag)
            {
                _waits.Poison();
                throw new CollectiveException(
                    $"Rank {Rank} is in {call.Operation} (call {call.Number}) while rank {r} is in "
                    + $"{(Operation)(Tags(r)[phase & 1] >>> 56)}, or with another shape: "
                    + "all ranks must make the same calls in the same order.");
            }
        }
    }

    /// <summary>Tags of a rank's last even and odd phase, beside its arrival count.</summary>
    private long* Tags(int rank) => _waits.Arrival(rank) + 1;

    private static long Tag(Operation operation, long shape) => ((long)operation << 56) | (shape & 0xFF_FFFF_FFFF_FFFF);

    private static float* AsFloats(Span<byte> bytes) => (float*)Unsafe.AsPointer(ref bytes[0]);
}
