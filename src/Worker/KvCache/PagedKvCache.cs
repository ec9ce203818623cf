using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops;

namespace TensorParallel.Worker.KvCache;

/// <summary>
/// Blocks of a fixed number of tokens, in the model's dtype; one device buffer a layer, keys first. Example: 100 blocks of 16 tokens,
/// 4 heads of 64 in bf16: 2 · 100 · 16 · 4 · 64 · 2 = 1,638,400 bytes a layer.
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
            for (var layer = 0; layer < shape.Layers.Length && LayerBytes > 0; layer++)
            {
                _buffers.Add(device.Allocate(LayerBytes, MemoryPurpose.KvCache));
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public long Bytes => _shape.Layers.Length * LayerBytes;

    private int Rows => checked(_shape.Blocks * _shape.Heads * _shape.BlockTokens);

    private long LayerBytes => 2L * Rows * _shape.HeadDim * _shape.DType.SizeInBytes();

    public KvLayerView Layer(int layer)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(layer, _shape.Layers.Start);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(layer, _shape.Layers.End);
        var buffer = _buffers[layer - _shape.Layers.Start];
        var keys = new Tensor(buffer, 0, _shape.DType, Rows, _shape.HeadDim, _shape.HeadDim);
        return new KvLayerView(
            keys, keys with { OffsetBytes = LayerBytes / 2 }, _shape.Heads, _shape.HeadDim, _shape.BlockTokens);
    }

    public void Dispose()
    {
        _buffers.ForEach(b => b.Dispose());
        _buffers.Clear();
    }
}
