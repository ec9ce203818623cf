using TensorParallel.Worker.Tests.Collectives;
using Xunit;

namespace TensorParallel.Worker.Tests.Sampling;

/// <summary>Random sequences against the reference, at every number of ranks.</summary>
public sealed class SamplerTests
{
    private const int Scenarios = 150;

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    public void Tokens_are_the_references_at_any_number_of_ranks(int size)
    {
        var scenarios = Enumerable.Range(1000, Scenarios).Select(seed => new SamplingScenario(seed)).ToArray();
        var sampled = RankThreads.Run(
            "shared-memory",
            size,
            1 << 16,
            (collective, device) => scenarios.Select(s => s.Sample(collective, device)).ToArray());
        for (var i = 0; i < scenarios.Length; i++)
        {
            var expected = scenarios[i].Reference();
            foreach (var rank in sampled)
            {
                Assert.True(
                    expected.SequenceEqual(rank[i].Tokens), $"{scenarios[i]}: {Differences(expected, rank[i].Tokens)}");
            }
        }

        // The scenarios must reach both ways of choosing; one rank has nothing to gather.
        var (least, most) = size == 1 ? (0, 0) : (20, Scenarios * 8);
        Assert.All(sampled, rank => Assert.InRange(rank.Sum(s => s.Gathered), least, most));
    }

    private static string Differences(int[] expected, int[] actual)
    {
        var different = Enumerable.Range(0, expected.Length).Where(i => expected[i] != actual[i]);
        return string.Join(", ", different.Select(i => $"{i}: {expected[i]} became {actual[i]}"));
    }
}
