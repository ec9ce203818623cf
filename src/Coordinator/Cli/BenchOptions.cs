using System.CommandLine;
using TensorParallel.Coordinator.Benchmarking;

namespace TensorParallel.Coordinator.Cli;

/// <summary>What <c>bench</c> measures.</summary>
internal sealed class BenchOptions
{
    // What the engine lets wait, and far above what is of use.
    private const int MostBatch = 1024;
    private const int MostTokens = 1 << 20;
    private const int MostRuns = 1000;
    private const string DeviceMapMode = "device-map";
    private const string UnpipelinedMode = "unpipelined";

    private readonly Option<string> _promptTokens = List("--prompt-tokens", "Tokens of each prompt", "512");
    private readonly Option<string> _newTokens = List("--new-tokens", "Tokens generated for each", "128");
    private readonly Option<string> _batch = List("--batch", "Sequences at once", "1");

    private readonly Option<int> _runs = new("--runs")
    {
        Description = "Measured runs of each cell, after a warm-up; their median counts. Default: 3.",
        HelpName = "N",
        DefaultValueFactory = _ => 3,
        CustomParser = NumberArgument.Read<int>,
    };

    private readonly Option<double?> _readRate = new("--read-bandwidth")
    {
        Description = "Reading rate of each device in GB/s. Default: measured by every worker at the start.",
        HelpName = "GB/S",
        CustomParser = NumberArgument.ReadOptional<double>,
    };

    private readonly Option<bool> _profile = new("--profile")
    {
        Description = "Also time operations by kind, in workers of their own.",
    };

    private readonly Option<string?> _compare = new("--compare")
    {
        Description = "Measure afterwards, and print both with their ratio: device-map, the device map on the same devices; unpipelined, "
            + "the same device map with one stage at a time.",
        HelpName = $"{DeviceMapMode}|{UnpipelinedMode}",
    };

    private readonly Option<string?> _json = new("--json")
    {
        Description = "Print the report as JSON instead of tables; with a file, write it there besides.",
        HelpName = "FILE",
        Arity = ArgumentArity.ZeroOrOne,
    };

    /// <summary>Name of the option that names a file.</summary>
    public string JsonName => _json.Name;

    /// <summary>Adds the options to a command.</summary>
    public void AddTo(Command command)
    {
        Option[] all = [_promptTokens, _newTokens, _batch, _runs, _readRate, _profile, _compare, _json];
        foreach (var option in all)
        {
            command.Options.Add(option);
        }
    }

    /// <summary>What to measure.</summary>
    /// <exception cref="UsageException">A number cannot be read or is out of range.</exception>
    public BenchSettings Read(ParseResult result)
    {
        var rate = result.GetValue(_readRate);
        if (rate is { } given && !(double.IsFinite(given) && given > 0))
        {
            throw new UsageException($"{_readRate.Name} is {given}: give GB/s above 0.");
        }

        var grid = new BenchGrid(
            Numbers(result, _promptTokens, MostTokens),
            Numbers(result, _newTokens, MostTokens),
            Numbers(result, _batch, MostBatch),
            Checked(_runs.Name, result.GetValue(_runs), MostRuns));
        return new BenchSettings(grid, rate, result.GetValue(_profile));
    }

    /// <summary>What is to be measured too.</summary>
    /// <exception cref="UsageException">It is none of these.</exception>
    public BenchComparison ReadCompare(ParseResult result) => result.GetValue(_compare) switch
    {
        null => BenchComparison.None,
        DeviceMapMode => BenchComparison.DeviceMap,
        UnpipelinedMode => BenchComparison.Unpipelined,
        var other => throw new UsageException($"{_compare.Name} is \"{other}\": give {DeviceMapMode} or {UnpipelinedMode}."),
    };

    /// <summary>Whether JSON is wanted, and the file for it; null: standard output.</summary>
    public (bool Wanted, string? File) ReadJson(ParseResult result) =>
        (result.GetResult(_json) is not null, result.GetValue(_json));

    private static Option<string> List(string name, string what, string byDefault) => new(name)
    {
        Description = $"{what}: a number or a list. Default: {byDefault}.",
        HelpName = "LIST",
        DefaultValueFactory = _ => byDefault,
    };

    private static IReadOnlyList<int> Numbers(ParseResult result, Option<string> option, int most) =>
        [.. IntegerList.Parse(option.Name, result.GetValue(option)!).Select(number => Checked(option.Name, number, most))];

    private static int Checked(string option, int number, int most) => number >= 1 && number <= most
        ? number
        : throw new UsageException($"{option} has the number {number}: give numbers from 1 to {most}.");
}
