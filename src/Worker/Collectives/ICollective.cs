using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Collectives;

/// <summary>
/// Communication between the ranks of one group. Every rank calls the same operations in the same order with the same
/// shapes; results are bit-identical on all ranks (in host memory sums are taken in rank order). Called from one thread a rank.
/// Calls act in the device's order of operations; a call may return before it is done. A wait on a peer that lasts longer than the
/// group's timeout throws <see cref="CollectiveException"/> naming rank, operation and count: there, or at a later call.
/// </summary>
internal interface ICollective : IDisposable
{
    /// <summary>Backend name for people, for example <c>shared-memory</c>.</summary>
    string Name { get; }

    /// <summary>This rank, 0 … Size − 1.</summary>
    int Rank { get; }

    /// <summary>Number of ranks.</summary>
    int Size { get; }

    /// <summary>
    /// x = Σ over ranks of x, element by element, in place. x: F32 (or the backend's activation dtype), any strides.
    /// </summary>
    void AllReduceSum(Tensor x);

    /// <summary>
    /// residual += Σ over ranks of delta; then normed = norm of the new residual, as <see cref="AllReduceSum"/> and the device's
    /// add-and-norm would one after the other: the sum is rounded to its dtype first. False where this group does not do it for such
    /// tensors, the same on all ranks: nothing has happened then. After true, delta is undefined. delta, residual, normed: [T, H] of
    /// the activation dtype; weight: [1, H] of any float dtype.
    /// </summary>
    bool TryAllReduceAddRmsNorm(Tensor delta, Tensor residual, Tensor weight, float epsilon, Tensor normed) => false;

    /// <summary>
    /// The same for so many rows that the ranks divide them: of residual, each rank reads and writes the rows of its own share alone,
    /// which depend on T and H only; all other rows are undefined after true. normed is whole on every rank. So within a step,
    /// calls with the same [T, H] may follow each other, and before anything else reads or adds to residual, <see
    /// cref="CompleteRows"/> makes it whole. False, the same on all ranks, where this group does not do it for such tensors.
    /// </summary>
    bool TryDividedAllReduceAddRmsNorm(Tensor delta, Tensor residual, Tensor weight, float epsilon, Tensor normed) => false;

    /// <summary>After <see cref="TryDividedAllReduceAddRmsNorm"/>: every rank gets every row of residual from whose share it is.</summary>
    void CompleteRows(Tensor residual) =>
        throw new InvalidOperationException($"{Name} divides no rows, so that there are none to complete.");

    /// <summary>
    /// Joins column parts: <c>whole[:, offset_r … offset_r + columns[r]) = part of rank r</c>, offset_r the sum before
    /// r. Parts may be uneven or empty. part: [T, columns[Rank]]; whole: [T, Σ columns]; any 4-byte or 2-byte dtype.
    /// </summary>
    void AllGatherColumns(Tensor part, Tensor whole, IReadOnlyList<int> columns);

    /// <summary>Copies x of rank <paramref name="root"/> to all ranks.</summary>
    void Broadcast(Tensor x, int root);

    /// <summary>Sends x to a peer, which must receive the same shape; may return before the peer has it.</summary>
    void Send(Tensor x, int peer);

    /// <summary>Receives into x from a peer; messages of one sender arrive in order.</summary>
    void Receive(Tensor x, int peer);

    /// <summary>
    /// Most calls of <see cref="Post"/> whose <see cref="Take"/> has not been made; who calls them sees to it. Stages of a pipeline have
    /// about one each under way.
    /// </summary>
    const int MostPosted = 8;

    /// <summary>Most bytes of what is posted. Every way has room for <see cref="MostPosted"/> of them, 32 KiB in all.</summary>
    const int MostPostedBytes = 4096;

    /// <summary>
    /// As <see cref="Send"/> for up to <see cref="MostPostedBytes"/> in a row, but never waits for the peer, neither the
    /// caller nor what it queues behind: x as it is now is kept for the peer's <see cref="Take"/>, however late that comes. This is what may close a circle of ranks: sends of
    /// rows may wait for their receiver, so that a circle of them could wait for itself. Not recorded, and no sends to the same peer
    /// beside it.
    /// </summary>
    void Post(Tensor x, int peer) => Send(x, peer);

    /// <summary>Receives into x what a peer has posted; messages of one sender arrive in order.</summary>
    void Take(Tensor x, int peer) => Receive(x, peer);

    /// <summary>What calls took when the group was joined, by size and way; empty where nothing was measured.</summary>
    IReadOnlyList<CollectiveTiming> Timings => [];

    /// <summary>Returns when every rank has called it.</summary>
    void Barrier();

    /// <summary>
    /// To be called when recorded work that holds calls of this group has been issued again: the calls were made without this object
    /// knowing, and a wait on a peer inside them has the group's limit, too. Every rank replays the same work.
    /// </summary>
    void Replayed()
    {
    }

    /// <summary>
    /// Throws <see cref="CollectiveException"/> if a call that had returned has failed since: where calls only queue work, what was
    /// computed after it is meaningless. To be called before results leave the rank. Calls that return when they are done have
    /// nothing to tell.
    /// </summary>
    void ThrowIfFailed()
    {
    }
}
