using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops;

namespace TensorParallel.Worker.KvCache;

/// <summary>
/// Blocks of a fixed number of tokens, in the model's dtype; one device buffer a layer, keys first. Example: 100
/// blocks of 16 tokens, 4 heads of 64 in bf16: 2 · 100 · 16 · 4 · 64 · 2 = 1,638,400 bytes a layer.
/// </summary>
internal sealed class PagedKvCache : IKvCache
{
    private readonly List<DeviceBuffer> _buffers = [];
    private readonly KvCacheShape _shape;

    /// <summary>Allocates everything; on failure nothing stays allocated.</summary>
    public PagedKvCache(KvCacheShape shape, IDevice device)
    {
        _shape = shape;
        try
        {
            foreach (var layer in shape.Layers)
            {
                _buffers.Add(device.Allocate(LayerBytes(layer), MemoryPurpose.KvCache));
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public long Bytes => _shape.Layers.Sum(LayerBytes);

    public KvLayerView Layer(int layer)
    {
        var index = layer - _shape.FirstLayer;
        ArgumentOutOfRangeException.ThrowIfNegative(index, nameof(layer));
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(index, _shape.Layers.Count, nameof(layer));
        var (heads, headDim) = _shape.Layers[index];
        var keys = new Tensor(_buffers[index], 0, _shape.DType, Rows(heads), headDim, headDim);
        var values = keys with { OffsetBytes = LayerBytes(_shape.Layers[index]) / 2 };
        return new KvLayerView(keys, values, heads, headDim, _shape.BlockTokens);
    }

    public void Dispose()
    {
        DeviceBuffer[] buffers = [.. _buffers];
        _buffers.Clear();
        Disposal.Of(buffers);
    }

    private int Rows(int heads) => checked(_shape.Blocks * heads * _shape.BlockTokens);

    private long LayerBytes(KvLayerShape layer) =>
        2L * Rows(layer.Heads) * layer.HeadDim * _shape.DType.SizeInBytes();
}
