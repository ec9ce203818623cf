using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.KvCache;
using TensorParallel.Worker.Tests.Collectives;
using Xunit;

namespace TensorParallel.Worker.Tests.KvCache;

public class PagedKvCacheTests
{
    private static readonly KvCacheShape s_shape = new(
        DType.BF16, Blocks: 100, BlockTokens: 16, FirstLayer: 5, [new(4, 64), new(3, 64), new(0, 64)]);

    [Fact]
    public void SizesAreThoseOfTheShape()
    {
        using var device = new HostDevice();
        using var cache = new PagedKvCache(s_shape, device);
        Assert.Equal(2 * 100 * 16 * (4 + 3) * 64 * 2, cache.Bytes);
    }

    [Fact]
    public void LayersHaveTheirOwnKeysAndValues()
    {
        using var device = new HostDevice();
        using var cache = new PagedKvCache(s_shape, device);
        var used = new List<(nint Start, nint End)>();
        foreach (var (layer, heads) in ((int, int)[])[(5, 4), (6, 3)])
        {
            var view = cache.Layer(layer);
            Assert.Equal((heads, 64, 16), (view.Heads, view.HeadDim, view.BlockTokens));
            foreach (var tensor in (Tensor[])[view.Keys, view.Values])
            {
                Assert.Equal((100 * heads * 16, 64, 64), (tensor.Rows, tensor.Columns, tensor.RowStride));
                Assert.Equal(DType.BF16, tensor.DType);
                Assert.True(tensor.OffsetBytes + (tensor.Rows * 128L) <= tensor.Buffer.Bytes);
                used.Add((tensor.Address, tensor.Address + (tensor.Rows * 128)));
            }
        }

        used.Sort();
        Assert.All(used.Zip(used.Skip(1)), pair => Assert.True(pair.First.End <= pair.Second.Start));
    }

    [Theory]
    [InlineData(4)]
    [InlineData(8)]
    public void OtherLayersAreNotHere(int layer)
    {
        using var device = new HostDevice();
        using var cache = new PagedKvCache(s_shape, device);
        Assert.Throws<ArgumentOutOfRangeException>(() => cache.Layer(layer));
    }

    [Fact]
    public void EveryCacheTypeIsInTheCatalog()
    {
        using var device = new HostDevice();
        var known = KvCacheCatalog.All.Values.Select(create =>
        {
            using var cache = create(s_shape, device);
            return cache.GetType();
        });
        var all = typeof(IKvCache).Assembly.GetTypes()
            .Where(t => t.IsAssignableTo(typeof(IKvCache)) && t is { IsAbstract: false });
        Assert.Equal(all.OrderBy(t => t.Name), known.OrderBy(t => t.Name));
        var error = Assert.Throws<ArgumentException>(() => KvCacheCatalog.Create("nope", s_shape, device));
        Assert.Contains(KvCacheCatalog.Paged, error.Message, StringComparison.Ordinal);
    }
}
