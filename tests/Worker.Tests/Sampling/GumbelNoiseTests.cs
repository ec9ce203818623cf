using TensorParallel.Worker.Ops;
using TensorParallel.Worker.Ops.Cpu;
using Xunit;

namespace TensorParallel.Worker.Tests.Sampling;

public sealed class GumbelNoiseTests
{
    [Fact]
    public void The_documented_example_holds()
    {
        var u = (0x6627E8D5 + 0.5) / 4294967296.0;
        Assert.Equal(0.39905, u, 5);
        Assert.Equal(-Math.Log(-Math.Log(u)), GumbelNoise.Score(0, 0, 0, new SlotSettings { Temperature = 1 }), 12);
        Assert.Equal(0.08482, GumbelNoise.Score(0, 0, 0, new SlotSettings { Temperature = 1 }), 5);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(1023)]
    [InlineData(5000)]
    public void The_best_of_a_range_is_the_best_of_its_parts_and_of_single_scores(int vocabulary)
    {
        var random = new Random(vocabulary);
        for (var position = 0; position < 50; position++)
        {
            var settings =
                new SlotSettings { Temperature = 0.1f + random.NextSingle(), SeedLow = 5, SeedHigh = (uint)position };
            var logits = new float[vocabulary];
            for (var i = 0; i < vocabulary; i++)
            {
                logits[i] = random.Next(20) == 0 ? float.NegativeInfinity : 30 * random.NextSingle();
            }

            var scores = logits.Select((x, id) => (Id: id, Score: GumbelNoise.Score(x, id, position, settings)));
            var expected = scores.Where(s => s.Score > double.NegativeInfinity)
                .Append((Id: -1, Score: double.NegativeInfinity)).MaxBy(s => s.Score);
            var whole = GumbelNoise.Best(logits, 0, position, settings);
            Assert.Equal(expected.Id, whole.Id);
            Assert.Equal(expected.Score, whole.Score, 1e-12);

            var cut = random.Next(0, vocabulary + 1);
            var left = GumbelNoise.Best(logits.AsSpan(0, cut), 0, position, settings);
            var right = GumbelNoise.Best(logits.AsSpan(cut), cut, position, settings);
            Assert.Equal(whole, right.Score > left.Score ? right : left);
        }
    }

    [Fact]
    public void Nothing_can_be_drawn_from_nothing()
    {
        var settings = new SlotSettings { Temperature = 1 };
        Assert.Equal((-1, double.NegativeInfinity), GumbelNoise.Best([], 5, 0, settings));
        Assert.Equal((-1, double.NegativeInfinity), GumbelNoise.Best([float.NegativeInfinity], 5, 0, settings));
    }
}
