using System.Runtime.InteropServices;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Collectives.PeerMemory;

/// <summary>
/// What the kernels of one rank need to know of the group: mailboxes, the epoch in device memory, and host memory in which a kernel
/// that gives a peer up says so. Owns all of it.
/// </summary>
internal sealed unsafe class PeerGroup : IDisposable
{
    /// <summary>
    /// Bytes of half a mailbox: two shots of 2 MiB are 4 MiB of packets to sum and 4 MiB of packets of sums. The rest is for tiles
    /// that are not full.
    /// </summary>
    internal const long HalfBytes = (8 << 20) + (64 << 10);

    /// <summary>
    /// Most bytes of normed rows that one call of peer_rows.cu divides; more go in pieces. Others' parts of a rank's rows are less:
    /// with 8 ranks 7/8 of it.
    /// </summary>
    internal const long PieceBytes = 32 << 20;

    /// <summary>Most lanes that flags have room for.</summary>
    internal const int MostLanes = 1024;

    /// <summary>Where flags of divided rows are: of parts and of results, by source and lane, 8 bytes each.</summary>
    internal const long FlagsOffset = 2 * HalfBytes;

    /// <summary>Where others' parts of this rank's rows come.</summary>
    internal const long PartsOffset = FlagsOffset + (2 * PeerArguments.MostRanks * MostLanes * sizeof(long));

    /// <summary>Where normed rows come.</summary>
    internal const long ResultsOffset = PartsOffset + PieceBytes;

    /// <summary>Where posted messages come, by source.</summary>
    internal const long PostsOffset = ResultsOffset + PieceBytes;

    /// <summary>Bytes of a mailbox, whatever the model: the plan's <c>DeviceScratch.MailboxBytes</c>.</summary>
    internal const long MailboxBytes = PostsOffset + (PeerArguments.MostRanks * PeerPosts.RingBytes);

    private const int GiveUpWord = 4;

    private readonly PeerMailboxes _mailboxes;
    private readonly DeviceBuffer _state;
    private readonly CudaHostWords _report; // peer.cuh says what they mean

    /// <summary>Takes over the mailboxes.</summary>
    public PeerGroup(CudaDevice device, PeerMailboxes mailboxes, int rank, TimeSpan timeout)
    {
        Device = device;
        _mailboxes = mailboxes;
        Rank = rank;
        Timeout = timeout;
        _state = device.Allocate(4 * sizeof(uint), MemoryPurpose.Scratch);
        _report = new CudaHostWords(device, GiveUpWord + 1);
        Token = ((IDevice)device).AllocateTensor(DType.F32, 1, 1, MemoryPurpose.Scratch);
        device.Clear(Token.Buffer, 0, Token.Buffer.Bytes);

        // Fresh mailboxes hold epoch 0, so calls count from 1.
        ReadOnlySpan<uint> state = [1, 0, 0, 0];
        device.CopyToDevice(MemoryMarshal.AsBytes(state), _state, 0);
    }

    /// <summary>This rank's GPU.</summary>
    public CudaDevice Device { get; }

    /// <summary>This rank.</summary>
    public int Rank { get; }

    /// <summary>Ranks.</summary>
    public int Size => _mailboxes.Addresses.Length;

    /// <summary>Longest wait on a peer, for calls from now on; a captured call keeps what held when it was captured.</summary>
    public TimeSpan Timeout { get; set; }

    /// <summary>A number for calls that are about their end alone.</summary>
    public Tensor Token { get; }

    /// <summary>Whether a kernel gave a peer up.</summary>
    public bool HasFailed => _report[0] != 0;

    /// <summary>The kernels' common argument for one call.</summary>
    public PeerArguments.Group Arguments(PeerOperation operation, long slotBytes, bool twoShot)
    {
        var arguments = new PeerArguments.Group
        {
            State = _state.Address,
            Report = _report.Address,
            HalfBytes = HalfBytes,
            Timeout = (long)Timeout.TotalMilliseconds * 1_000_000,
            SlotBytes = slotBytes,
            Rank = Rank,
            Operation = (int)operation,
            TwoShot = twoShot ? 1 : 0,
        };
        for (var rank = 0; rank < Size; rank++)
        {
            arguments.Boxes[rank] = _mailboxes.Addresses[rank];
        }

        return arguments;
    }

    /// <summary>Where a rank's mailbox is for this rank's GPU.</summary>
    public ulong MailboxOf(int rank) => _mailboxes.Addresses[rank];

    /// <summary>Throws if a kernel gave a peer up. Calls are counted as the GPU makes them: every replay of a captured one counts.</summary>
    public void ThrowIfFailed()
    {
        if (HasFailed)
        {
            throw new CollectiveException(
                $"Rank {Rank} of {Size} waited {Timeout.TotalSeconds:F1} s for rank {_report[2]} in " +
                $"{(PeerOperation)_report[1]}, call {_report[3]}.");
        }
    }

    /// <summary>Tells kernels that still wait for a peer to end; nobody may be interested in the group any more.</summary>
    public void GiveUp() => _report[GiveUpWord] = 1;

    /// <summary>Unmaps the others' mailboxes while everybody's still exist.</summary>
    public void CloseOthers() => _mailboxes.CloseOthers();

    public void Dispose() => Disposal.Of(_mailboxes, _state, Token.Buffer, _report);
}
