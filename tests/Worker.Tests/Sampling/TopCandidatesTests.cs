using TensorParallel.Worker.Ops.Cpu;
using Xunit;

namespace TensorParallel.Worker.Tests.Sampling;

public sealed class TopCandidatesTests
{
    [Theory]
    [InlineData(0, 3, 1)]
    [InlineData(1, 1, 1)]
    [InlineData(5, 64, 1000)]
    [InlineData(64, 64, 1000)]
    [InlineData(5000, 1, 3)]
    [InlineData(5000, 64, 40)]
    [InlineData(5000, 256, 1_000_000)]
    public void They_are_the_first_of_the_sorted_vocabulary(int vocabulary, int count, int differentValues)
    {
        for (var seed = 0; seed < 20; seed++)
        {
            var random = new Random(seed);
            var logits = Enumerable.Range(0, vocabulary).Select(_ => (float)random.Next(differentValues)).ToArray();
            var values = new float[count];
            var ids = new int[count];
            TopCandidates.Select(logits, 100, values, ids);
            var expected =
                logits.Select((x, i) => (Value: x, Id: 100 + i)).OrderByDescending(c => c.Value).ThenBy(c => c.Id)
                .Concat(Enumerable.Repeat((Value: float.NegativeInfinity, Id: -1), count)).Take(count);
            Assert.Equal(expected, values.Zip(ids));
        }
    }
}
