using TensorParallel.Coordinator.Cli;
using TensorParallel.Coordinator.Workers;
using Xunit;

namespace TensorParallel.Coordinator.Tests.Cli;

public class LoadProgressBarTests
{
    [Theory]
    [InlineData(200, "loading [################................]")]
    [InlineData(60, "loading  50 %  1 of 2 MB")]
    [InlineData(16, "loading  50 %")]
    public void A_terminals_line_is_never_full(int columns, string expected)
    {
        using var output = new StringWriter();
        using var bar = new LoadProgressBar(output, columns, workers: 1);
        bar.Report(new LoadProgress(Rank: 0, BytesDone: 1_000_000, BytesTotal: 2_000_000));

        var line = output.ToString().Replace("\x1b[K", "", StringComparison.Ordinal).TrimStart('\r');
        Assert.StartsWith(expected, line, StringComparison.Ordinal);
        Assert.InRange(line.Length, 1, columns - 1);
    }

    [Fact]
    public void Without_a_terminal_each_quarter_is_a_line()
    {
        using var output = new StringWriter();
        using var bar = new LoadProgressBar(output, columns: null, workers: 1);
        for (var done = 0; done <= 100; done++)
        {
            bar.Report(new LoadProgress(Rank: 0, done, BytesTotal: 100));
        }

        Assert.Equal(5, output.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries).Length);
    }
}
