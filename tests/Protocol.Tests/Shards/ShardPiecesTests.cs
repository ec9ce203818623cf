using TensorParallel.Protocol.Shards;
using Xunit;

namespace TensorParallel.Protocol.Tests.Shards;

public class ShardPiecesTests
{
    [Fact]
    public void EveryByteIsInExactlyOnePieceOfBoundedSize()
    {
        var random = new Random(1);
        for (var i = 0; i < 500; i++)
        {
            var (rows, columns, element) = (random.Next(1, 60), random.Next(1, 900), random.Next(2) == 0 ? 2 : 4);
            var most = random.Next(4, 4096);
            var next = 0L;
            foreach (var (offset, bytes) in ShardPieces.Of(rows, columns, element, most))
            {
                Assert.Equal(next, offset);
                Assert.InRange(bytes, 1, most);
                Assert.Equal(0, bytes % element);
                next += bytes;
            }

            Assert.Equal((long)rows * columns * element, next);
        }
    }

    [Fact]
    public void WholeRowsStayTogether() =>
        Assert.Equal([(0L, 6000), (6000L, 6000), (12000L, 3000)], ShardPieces.Of(5, 1500, 2, 8192));

    [Fact]
    public void LongRowsAreCutEachByItself() =>
        Assert.Equal([(0L, 16), (16L, 4), (20L, 16), (36L, 4)], ShardPieces.Of(2, 5, 4, 19));

    [Fact]
    public void NothingHasNoPieces() => Assert.Empty(ShardPieces.Of(0, 7, 2, 64));
}
