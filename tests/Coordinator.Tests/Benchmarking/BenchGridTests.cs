using TensorParallel.Coordinator.Benchmarking;
using TensorParallel.Coordinator.Hosting;
using TensorParallel.Protocol.Generation;
using Xunit;

namespace TensorParallel.Coordinator.Tests.Benchmarking;

public class BenchGridTests
{
    private static readonly BenchGrid s_grid = new([512, 2048], [128], [1, 16, 64], 3);

    [Fact]
    public void CellsAreEveryCombination()
    {
        Assert.Equal(
            [new(512, 128, 1), new(512, 128, 16), new(512, 128, 64), new(2048, 128, 1), new(2048, 128, 16), new BenchCell(2048, 128, 64)],
            s_grid.Cells);
    }

    [Fact]
    public void SizesHoldTheLargestCellAndGivenOnesStay()
    {
        var sized = s_grid.Sized(new ModelArguments());

        Assert.Equal((64, 2048), (sized.MaxSequences, sized.MaxStepTokens));

        // 64 prompts of 2,048 in steps of 2,048 − 64 rows: 67 steps.
        Assert.Equal(2048 + 128 + 67 + 2, sized.MaxContext);
        Assert.Equal(8192, (s_grid with { PromptTokens = [100_000] }).Sized(new ModelArguments()).MaxStepTokens);

        var given = s_grid.Sized(new ModelArguments { MaxSequences = 3, MaxStepTokens = 300, MaxContext = 4000 });
        Assert.Equal((3, 300, 4000), (given.MaxSequences, given.MaxStepTokens, given.MaxContext));
    }

    [Fact]
    public void OneSequenceWaitsForNobody() => Assert.Equal(0, BenchGrid.Stagger(new BenchCell(4096, 8, 1), 512));

    [Theory]
    [InlineData(8, 640, 1000, null)]
    [InlineData(1, 640, 1000, "--max-sequences")]
    [InlineData(8, 200, 1000, "--max-context")]
    [InlineData(8, 640, 60, "KV blocks")]
    public void ACellThatDoesNotFitIsToldBeforeAnythingRuns(int sequences, int context, int blocks, string? expected)
    {
        var problem = BenchGrid.Problem(new BenchCell(256, 32, 4), new StepLimits(512, sequences, context, 16, blocks));

        if (expected is null)
        {
            Assert.Null(problem);
        }
        else
        {
            Assert.Contains(expected, problem, StringComparison.Ordinal);
            Assert.Contains("batch 4 of 256 prompt and 32 new tokens", problem, StringComparison.Ordinal);
        }
    }
}
