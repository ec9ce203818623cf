using TensorParallel.Worker.Ops;

namespace TensorParallel.Worker.KvCache;

/// <summary>
/// Keys and values of this rank's layers and heads. Owns its device memory; which block belongs to which sequence is
/// decided elsewhere and arrives with every step.
/// </summary>
internal interface IKvCache : IDisposable
{
    /// <summary>Device bytes of all layers.</summary>
    long Bytes { get; }

    /// <summary>The cache of one layer, by its number in the whole model.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The layer is not on this rank.</exception>
    KvLayerView Layer(int layer);
}
