using System.CommandLine;
using TensorParallel.Coordinator.Benchmarking;
using TensorParallel.Coordinator.Cli;
using Xunit;

namespace TensorParallel.Coordinator.Tests.Cli;

public class BenchOptionsTests
{
    private readonly BenchOptions _options = new();

    [Fact]
    public void DefaultsAreOneCellThreeTimes()
    {
        var settings = _options.Read(Parse());

        Assert.Equal([new BenchCell(512, 128, 1)], settings.Grid.Cells);
        Assert.Equal(3, settings.Grid.Runs);
        Assert.Null(settings.ReadGigabytesPerSecond);
        Assert.False(settings.Profile);
        Assert.Equal(BenchComparison.None, _options.ReadCompare(Parse()));
        Assert.Equal((false, null), _options.ReadJson(Parse()));
    }

    [Fact]
    public void ListsAndSwitchesAreRead()
    {
        var result = Parse(
            "--prompt-tokens", "512,2048", "--new-tokens", "16,32", "--batch", "1, 64", "--runs", "5", "--read-bandwidth", "4200.5",
            "--profile", "--compare", "device-map");
        var settings = _options.Read(result);

        Assert.Equal([512, 2048], settings.Grid.PromptTokens);
        Assert.Equal([16, 32], settings.Grid.NewTokens);
        Assert.Equal([1, 64], settings.Grid.Batches);
        Assert.Equal(5, settings.Grid.Runs);
        Assert.Equal(4200.5, settings.ReadGigabytesPerSecond);
        Assert.True(settings.Profile);
        Assert.Equal(BenchComparison.DeviceMap, _options.ReadCompare(result));
        Assert.Equal(BenchComparison.Unpipelined, _options.ReadCompare(Parse("--compare", "unpipelined")));
    }

    [Fact]
    public void JsonGoesToStandardOutputOrToAFile()
    {
        Assert.Equal((true, null), _options.ReadJson(Parse("--json")));
        Assert.Equal((true, null), _options.ReadJson(Parse("--json", "--profile")));
        Assert.Equal((true, "a.json"), _options.ReadJson(Parse("--json", "a.json")));
    }

    [Theory]
    [InlineData("--batch", "0")]
    [InlineData("--batch", "1025")]
    [InlineData("--prompt-tokens", "512,0")]
    [InlineData("--new-tokens", "x")]
    [InlineData("--runs", "0")]
    [InlineData("--read-bandwidth", "0")]
    [InlineData("--read-bandwidth", "NaN")]
    public void NumbersOutOfRangeAreNamedWithTheirOption(string option, string value)
    {
        var error = Assert.Throws<UsageException>(() => _options.Read(Parse(option, value)));

        Assert.StartsWith(option, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void AnotherModeToCompareWithIsRefused()
    {
        var error = Assert.Throws<UsageException>(() => _options.ReadCompare(Parse("--compare", "pipeline")));

        Assert.Contains("device-map", error.Message, StringComparison.Ordinal);
    }

    private ParseResult Parse(params string[] arguments)
    {
        var command = new Command("bench");
        _options.AddTo(command);
        var result = command.Parse(arguments);
        Assert.Empty(result.Errors);
        return result;
    }
}
