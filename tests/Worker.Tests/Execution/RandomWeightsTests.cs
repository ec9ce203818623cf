using Xunit;

namespace TensorParallel.Worker.Tests.Execution;

public class RandomWeightsTests
{
    private static readonly Lazy<(int[] Tokens, float[][] Logits)> s_reference = new(() => RandomWeightsModel.Run(1, false));

    [Theory]
    [InlineData(2, false)]
    [InlineData(3, false)]
    [InlineData(2, true)]
    [InlineData(3, true)]
    public void AnyNumberOfRanksGivesTheSameModel(int ranks, bool useDeviceMap)
    {
        var (expected, reference) = s_reference.Value;

        var (tokens, logits) = RandomWeightsModel.Run(ranks, useDeviceMap);

        Assert.Equal(26, expected.Length);
        Assert.Equal(expected, tokens);
        for (var i = 0; i < reference.Length; i++)
        {
            LogitAssert.Close(reference[i], logits[i], tolerance: 2e-5f, $"row {i}");
        }
    }

    [Fact]
    public void LogitsAreFiniteAndTellTokensApart()
    {
        var (tokens, logits) = s_reference.Value;

        Assert.All(logits.SelectMany(row => row), value => Assert.True(float.IsFinite(value)));
        Assert.All(logits, row => Assert.InRange(row.Max() - row.Min(), 0.5f, 100f));
        Assert.True(tokens.Distinct().Count() > 3, string.Join(' ', tokens));
    }
}
