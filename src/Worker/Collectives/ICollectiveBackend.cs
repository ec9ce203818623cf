using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Collectives;

/// <summary>
/// A way for ranks to talk. Rank 0 makes an opaque bootstrap blob, the coordinator relays it to the others, and every
/// rank joins.
/// </summary>
internal interface ICollectiveBackend
{
    /// <summary>Name as a plan writes it, for example <c>shared-memory</c>.</summary>
    string Name { get; }

    /// <summary>
    /// Called on rank 0 only; what is returned is handed to every rank's <see cref="Join"/> (rank 0's too).
    /// </summary>
    /// <param name="size">Number of ranks.</param>
    /// <param name="maxMessageBytes">Largest tensor any operation will be given, in bytes.</param>
    byte[] CreateBootstrap(int size, long maxMessageBytes);

    /// <summary>
    /// Joins the group; returns when all ranks have joined, or throws after <paramref name="timeout"/>.
    /// </summary>
    /// <param name="bootstrap">The blob of rank 0; validated.</param>
    /// <param name="rank">This rank.</param>
    /// <param name="size">Number of ranks.</param>
    /// <param name="device">The device whose tensors will be passed.</param>
    /// <param name="timeout">Longest wait on a peer, here and in every operation.</param>
    ICollective Join(ReadOnlySpan<byte> bootstrap, int rank, int size, IDevice device, TimeSpan timeout);
}
