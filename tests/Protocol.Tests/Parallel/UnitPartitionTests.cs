using TensorParallel.Protocol.Parallel;
using Xunit;

namespace TensorParallel.Protocol.Tests.Parallel;

public sealed class UnitPartitionTests
{
    [Theory]
    [InlineData(8, 1, 3, "3 3 2")]
    [InlineData(8, 1, 8, "1 1 1 1 1 1 1 1")]
    [InlineData(11, 1, 4, "3 3 3 2")]
    [InlineData(176, 16, 3, "64 64 48")]
    [InlineData(33, 16, 2, "32 1")]
    public void EarlierRanks_GetMore(int size, int unit, int ranks, string lengths) =>
        Assert.Equal(lengths, Lengths(new UnitPartition(size, unit, ranks)));

    [Theory]
    [InlineData(176, 3, 16, "64 64 48")]
    [InlineData(176, 11, 16, "16 16 16 16 16 16 16 16 16 16 16")]
    [InlineData(176, 12, 8, "16 16 16 16 16 16 16 16 16 16 8 8")]
    [InlineData(20, 4, 1, "5 5 5 5")]
    [InlineData(128256, 8, 16, "16032 16032 16032 16032 16032 16032 16032 16032")]
    [InlineData(50257, 2, 16, "25136 25121")]
    public void Widths_AreCutInSixteens_ThenEights_ThenOnes(int size, int ranks, int unit, string lengths)
    {
        var partition = UnitPartition.OfWidth(size, ranks);

        Assert.Equal(unit, partition.Unit);
        Assert.Equal(lengths, Lengths(partition));
    }

    [Fact]
    public void FewerUnitsThanRanks_IsRefused()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => new UnitPartition(8, 1, 9));
        Assert.Throws<ArgumentOutOfRangeException>(() => UnitPartition.OfWidth(3, 4));
    }

    [Fact]
    public void Parts_FollowEachOther_DifferByOneUnit_AndAreNeverEmpty()
    {
        var seed = Random.Shared.Next();
        var random = new Random(seed);
        for (var i = 0; i < 2000; i++)
        {
            var (size, unit) = (random.Next(1, 5000), random.Next(1, 40));
            var ranks = random.Next(1, ((size - 1) / unit) + 2);
            var partition = new UnitPartition(size, unit, ranks);
            var where = $"seed {seed}: {size} in units of {unit} over {ranks}";
            var parts = Enumerable.Range(0, ranks).Select(rank => partition[rank]).ToList();

            Assert.True(parts[0].Start == 0 && parts[^1].End == size, where);
            Assert.True(parts.Zip(parts.Skip(1)).All(pair => pair.First.End == pair.Second.Start), where);
            Assert.True(parts.All(part => part.Length > 0 && part.Start % unit == 0), where);
            var units = parts.Select(part => (part.Length + unit - 1) / unit).ToList();
            Assert.True(units.Max() - units.Min() <= 1 && units.SequenceEqual(units.OrderDescending()), where);
            Assert.True(partition.IsUneven == (units.Max() != units.Min()), where);
        }
    }

    private static string Lengths(UnitPartition partition) =>
        string.Join(' ', Enumerable.Range(0, partition.Ranks).Select(rank => partition[rank].Length));
}
