using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops.Cuda;

namespace TensorParallel.Worker.Collectives.PeerMemory;

/// <summary>
/// Small messages from rank to rank: the sender stores into a ring in the receiver's mailbox and goes on, the receiver's kernel waits
/// until all of it is there. Messages of a pair are numbered from 1 on both sides, and each takes the next slot of the ring. A slot is
/// written again <see cref="Slots"/> messages later: by then its message was taken, because at most <see
/// cref="ICollective.MostPosted"/> are not. That the taking is known to the sender needs no word back: the caller keeps the number by
/// what the receiver sends on after it took. Only queues work; not for captures, since a replay would not count on. Used by one thread.
/// </summary>
internal sealed class PeerPosts(PeerGroup group)
{
    /// <summary>Most words of a message.</summary>
    internal const int MostWords = ICollective.MostPostedBytes / sizeof(int);

    /// <summary>Messages in a ring.</summary>
    internal const int Slots = 2 * ICollective.MostPosted;

    /// <summary>Bytes of the ring from one rank to another: two words a packet of 16 bytes.</summary>
    internal const long RingBytes = Slots * SlotBytes;

    private const long SlotBytes = MostWords / 2 * 16;
    private const int Threads = 256;

    private readonly CudaDevice _device = group.Device;
    private readonly uint[] _posted = new uint[group.Size];
    private readonly uint[] _taken = new uint[group.Size];

    /// <summary>Whether a tensor goes this way: whole 4-byte words in a row.</summary>
    public static bool CanPost(Tensor x) => x.Rows == 1 && x.Columns is > 0 and <= MostWords && x.DType.SizeInBytes() == sizeof(int);

    /// <summary>Stores x as it is now into the peer's mailbox.</summary>
    public void Post(Tensor x, int peer) => Launch(x, peer, ++_posted[peer], group.MailboxOf(peer), source: group.Rank, takes: false);

    /// <summary>Waits for the peer's next message and puts it into x; where the wait ends in vain x holds a part of it, and the group has failed.</summary>
    public void Take(Tensor x, int peer) => Launch(x, peer, ++_taken[peer], group.MailboxOf(group.Rank), source: peer, takes: true);

    private void Launch(Tensor x, int peer, uint number, ulong mailbox, int source, bool takes)
    {
        if (_device.IsCapturing)
        {
            throw new InvalidOperationException("A message from rank to rank cannot be part of a recorded step.");
        }

        var offset = PeerGroup.PostsOffset + (source * RingBytes) + (number % Slots * SlotBytes);
        var arguments = new PeerArguments.Post
        {
            Group = group.Arguments(PeerOperation.Take, SlotBytes, twoShot: false),
            Slot = mailbox + (ulong)offset,
            Words = x.Address,
            Number = number,
            Count = x.Columns,
            Peer = peer,
            Takes = takes ? 1 : 0,
        };
        var kernel = _device.Modules.Get(CudaKernels.PeerPost(group.Size));
        _device.Launch(kernel, new CudaGrid(1, 1, 1, Threads), arguments);
    }
}
