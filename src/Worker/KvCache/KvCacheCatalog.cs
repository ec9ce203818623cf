using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.KvCache;

/// <summary>Every cache type there is, by name.</summary>
internal static class KvCacheCatalog
{
    /// <summary>Blocks in the model's dtype.</summary>
    public const string Paged = "paged";

    /// <summary>Name → constructor.</summary>
    public static IReadOnlyDictionary<string, Func<KvCacheShape, IDevice, IKvCache>> All { get; } =
        new Dictionary<string, Func<KvCacheShape, IDevice, IKvCache>>
        {
            [Paged] = (shape, device) => new PagedKvCache(shape, device),
        };

    /// <summary>
    /// Makes a cache of type <paramref name="name"/>; throws <see cref="ArgumentException"/> with the names there
    /// are.
    /// </summary>
    public static IKvCache Create(string name, KvCacheShape shape, IDevice device) =>
        All.TryGetValue(name, out var create)
            ? create(shape, device)
            : throw new ArgumentException(
                $"There is no KV cache type \"{name}\": choose one of {string.Join(", ", All.Keys)}.", nameof(name));
}
