using System.Collections.Concurrent;
using System.Security.Cryptography;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Collectives.SharedMemory;

/// <summary>
/// Groups of processes on one host that talk through a segment of POSIX shared memory. Thread-safe. Rank 0's instance
/// makes the segment in <see cref="CreateBootstrap"/> and must be the one that joins with it; disposing it deletes
/// segments never joined.
/// </summary>
internal sealed class SharedMemoryBackend : ICollectiveBackend, IDisposable
{
    internal const string BackendName = "shared-memory";

    private readonly ConcurrentDictionary<string, SharedMemorySegment> _created = [];

    public string Name => BackendName;

    public byte[] CreateBootstrap(int size, long maxMessageBytes)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(size, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(size, SharedMemoryLayout.MaxSize);
        ArgumentOutOfRangeException.ThrowIfNegative(maxMessageBytes);
        var id = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16));
        var bootstrap = new SharedMemoryBootstrap(SharedMemoryLayout.For(size, maxMessageBytes), id);
        if (size > 1)
        {
            SharedMemorySegment.DeleteAbandoned();
            _created[id] = SharedMemorySegment.Create(bootstrap);
        }

        return bootstrap.Encode();
    }

    public ICollective Join(ReadOnlySpan<byte> bootstrap, int rank, int size, IDevice device, TimeSpan timeout)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(size, 1);
        GroupCalls.CheckPeer(rank, size, nameof(rank));
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(timeout, TimeSpan.Zero);
        var description = SharedMemoryBootstrap.Decode(bootstrap, rank, size);
        if (!device.Name.StartsWith("cpu", StringComparison.Ordinal))
        {
            throw new CollectiveException(
                $"Rank {rank} runs on {device.Name}, but the {Name} backend moves host memory only: "
                + "use it with cpu devices.");
        }

        if (size == 1)
        {
            return new SingleRankCollective(device);
        }

        if (rank != 0)
        {
            return SharedMemoryCollective.Join(SharedMemorySegment.Open(description, rank), rank, timeout);
        }

        return _created.TryRemove(description.Id, out var segment)
            ? SharedMemoryCollective.Join(segment, rank, timeout)
            : throw new CollectiveException("Rank 0 must join with the bootstrap blob it made itself, once.");
    }

    public void Dispose()
    {
        Disposal.Of(_created.Keys.Select(id => _created.TryRemove(id, out var segment) ? segment : null));
    }
}
