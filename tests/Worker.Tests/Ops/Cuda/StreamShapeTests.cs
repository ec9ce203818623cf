using TensorParallel.Worker.Ops.Cuda;
using Xunit;

namespace TensorParallel.Worker.Tests.Ops.Cuda;

/// <summary>How products are cut for gemm_stream.cu on an H200: 132 multiprocessors, in groups that clusters do not cross.</summary>
public sealed class StreamShapeTests
{
    private const int Multiprocessors = 132;

    // cuOccupancyMaxActiveClusters of an H200, clusters of 1 to 8 blocks, a block to a multiprocessor.
    private static readonly int[] s_clusters = [132, 66, 39, 30, 22, 17, 15, 15];

    [Theory]
    [InlineData(6144, 4096, 2)] // 48 tiles
    [InlineData(3072, 4096, 4)] // 24: five would be 120 blocks, but 22 clusters
    [InlineData(1536, 4096, 8)]
    [InlineData(4096, 4096, 3)] // 32: 30 clusters of four
    [InlineData(4096, 1024, 2)] // 16 tiles of columns, eight a part
    [InlineData(4096, 512, 1)]
    [InlineData(7168, 4096, 2)]
    [InlineData(14336, 4096, 1)]
    [InlineData(28672, 4096, 1)]
    [InlineData(1, 64, 1)]
    public void A_product_has_as_many_parts_as_find_a_multiprocessor(int rows, int columns, int parts)
    {
        var shape = StreamShape.For(64, rows, columns, Multiprocessors, shape => s_clusters[shape.Parts - 1]);
        Assert.Equal(parts, shape.Parts);
        Assert.Equal(StreamShape.StagesOf(64, shares: rows > 128 * Multiprocessors), shape.Stages);
    }

    [Theory]
    [InlineData(1, 16)]
    [InlineData(16, 16)]
    [InlineData(17, 32)]
    [InlineData(33, 64)]
    [InlineData(64, 64)]
    public void Rows_have_the_smallest_room_that_takes_them(int tokens, int room) =>
        Assert.Equal(room, StreamShape.For(tokens, 1000, 1000, Multiprocessors, _ => Multiprocessors).Rows);

    /// <summary>A ring for each half of a multiprocessor fits twice, and the sums of a tile fit into a ring.</summary>
    [Fact]
    public void Rings_fit_and_hold_the_sums()
    {
        foreach (var shape in StreamShape.All())
        {
            const int Multiprocessor = 228 * 1024, OfEachBlock = 1024;
            Assert.True(shape.SharedBytes <= 227 * 1024);
            Assert.True(shape.Stages >= 4, $"{shape}");
            Assert.True(shape.Rows * (StreamShape.Tile + 4) * sizeof(float) <= shape.SharedBytes - 1024);
            var blocks = shape.Stages == StreamShape.StagesOf(shape.Rows, shares: true) ? 2 : 1;
            Assert.True(blocks * (shape.SharedBytes + OfEachBlock) <= Multiprocessor, $"{shape}");
        }
    }

    [Fact]
    public void Only_Hopper_and_few_rows_are_taken()
    {
        Assert.True(StreamShape.Takes(64, 90));
        Assert.False(StreamShape.Takes(65, 90));
        Assert.False(StreamShape.Takes(0, 90));
        Assert.False(StreamShape.Takes(16, 89));
        Assert.False(StreamShape.Takes(16, 100));
    }
}
