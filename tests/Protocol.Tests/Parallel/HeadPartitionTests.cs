using TensorParallel.Protocol.Parallel;
using Xunit;

namespace TensorParallel.Protocol.Tests.Parallel;

public sealed class HeadPartitionTests
{
    [Fact]
    public void TwelveOverThree_OnTwoRanks_ShareTheMiddleKeyValueHead()
    {
        var heads = new HeadPartition(12, 3, 64, 2);

        Assert.Equal([new(0, 6), new(6, 12)], new[] { heads.QueryHeads(0), heads.QueryHeads(1) });
        Assert.Equal([new(0, 2), new(1, 3)], new[] { heads.KeyValueHeads(0), heads.KeyValueHeads(1) });
        Assert.Equal(new IndexRange(384, 768), heads.QueryColumns(1));
        Assert.Equal(new IndexRange(64, 192), heads.KeyValueColumns(1));
    }

    [Fact]
    public void EveryRank_HoldsExactlyTheKeyValueHeadsItsQueryHeadsRead()
    {
        var seed = Random.Shared.Next();
        var random = new Random(seed);
        for (var i = 0; i < 1000; i++)
        {
            var (kvHeads, group, headDim) = (random.Next(1, 12), random.Next(1, 12), random.Next(1, 65));
            var ranks = random.Next(1, (kvHeads * group) + 1);
            var heads = new HeadPartition(kvHeads * group, kvHeads, headDim, ranks);
            var where = $"seed {seed}: {kvHeads * group} over {kvHeads}, {ranks} ranks";
            var next = 0;
            for (var rank = 0; rank < ranks; rank++)
            {
                var (query, keyValue) = (heads.QueryHeads(rank), heads.KeyValueHeads(rank));
                Assert.True(query.Start == next && query.Length > 0, where);
                next = query.End;
                var read = Enumerable.Range(query.Start, query.Length).Select(head => head / group).Distinct().ToList();
                Assert.True(read.SequenceEqual(Enumerable.Range(keyValue.Start, keyValue.Length)), where);
                Assert.Equal(query.Length * headDim, heads.QueryColumns(rank).Length);
                Assert.Equal(keyValue.Start * headDim, heads.KeyValueColumns(rank).Start);
            }

            Assert.True(next == kvHeads * group, where);
        }
    }

    [Fact]
    public void MoreRanksThanHeads_IsRefused() =>
        Assert.Throws<ArgumentOutOfRangeException>(() => new HeadPartition(8, 2, 64, 9));
}
