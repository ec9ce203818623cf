using TensorParallel.Worker.Collectives.Nccl;
using TensorParallel.Worker.Collectives.PeerMemory;
using TensorParallel.Worker.Collectives.SharedMemory;

namespace TensorParallel.Worker.Collectives;

/// <summary>All collective backends. To add one: its file (or folder) here, and one line in the list.</summary>
internal static class CollectiveCatalog
{
    /// <summary>Every backend by the name that plans use.</summary>
    public static IReadOnlyDictionary<string, Func<ICollectiveBackend>> Backends { get; } =
        new Dictionary<string, Func<ICollectiveBackend>>(StringComparer.Ordinal)
        {
            [SharedMemoryBackend.BackendName] = () => new SharedMemoryBackend(),
            [NcclBackend.BackendName] = () => new NcclBackend(),
            [PeerMemoryBackend.BackendName] = () => new PeerMemoryBackend(),
        };

    /// <summary>A new instance of a backend; throws <see cref="CollectiveException"/> for an unknown name.</summary>
    public static ICollectiveBackend Create(string name) =>
        Backends.TryGetValue(name, out var create)
            ? create()
            : throw new CollectiveException(
                $"There is no collective backend \"{name}\"; there are: {string.Join(", ", Backends.Keys)}.");
}
