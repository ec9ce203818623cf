using System.Globalization;
using TensorParallel.Coordinator.Planning;

namespace TensorParallel.Coordinator.Benchmarking;

/// <summary>The report for people, plain text that pipes and files take too.</summary>
internal static class BenchText
{
    private const string None = "-";

    private static readonly string[] s_cellHeadings =
        ["prompt", "new", "batch", "first ms", "prompt tok/s", "ms/token", "tok/s each", "tok/s all", "memory"];

    /// <summary>All lines.</summary>
    public static IReadOnlyList<string> Of(BenchReport report) =>
    [
        report.CommandLine,
        $"{report.Model}, {report.Weights} weights, {report.DType}, on {string.Join(", ", report.Devices)}; medians of {report.Runs} "
            + (report.Runs == 1 ? "run" : "runs"),
        .. report.FallbackReasons.Select(reason => $"Tensor parallelism is not possible: {reason}"),
        .. report.Modes.SelectMany(OfMode),
        .. report.Modes.Count == 2 ? Comparison(report.Modes[0], report.Modes[1]) : [],
    ];

    private static IEnumerable<string> OfMode(ModeReport mode) =>
    [
        "",
        $"== {Title(mode)} on {mode.WorldSize}",
        .. TextTable.Of(s_cellHeadings, [.. mode.Cells.Select(Row)]),
        $"memory: part of the read rate that a decode step's {Range(mode)} come to; rate {mode.ReadRateSource}: "
            + $"{string.Join(" / ", mode.ReadGigabytesPerSecond.Select(rate => Number(rate, "0")))} GB/s",
        .. mode.BusBytesPerStep > 0 ? (string[])[$"over the bus: {ByteText.Of(mode.BusBytesPerStep)} of weights a step"] : [],
        "",
        Loading(mode),
        .. mode.Memory.Select(Memory),
        .. TextTable.Of(["start to first token", "ms"], [.. mode.Start.Select(part => (string[])[part.Name, Number(part.Milliseconds, "0")])]),
        .. mode.KernelsLoaded > 0 ? (string[])[$"{mode.KernelsLoaded} kernels loaded, {mode.KernelsCompiled} of them compiled"] : [],
        .. AllReduce(mode),
        .. Operations(mode),
    ];

    private static string Title(ModeReport mode) =>
        mode.MicroBatches > 1 ? $"{mode.Mode} in {mode.MicroBatches} micro-batches" : mode.Mode;

    private static string[] Row(CellReport cell) =>
    [
        Whole(cell.PromptTokens),
        Whole(cell.NewTokens),
        Whole(cell.Batch),
        Number(cell.TtftMs, "0.0"),
        Number(cell.PromptTokensPerSecond, "0"),
        Number(cell.DecodeMsPerToken, "0.000"),
        Number(cell.TokensPerSecondPerSequence, "0.0"),
        Number(cell.TokensPerSecond, "0.0"),
        Number(cell.MemoryUtilisation * 100, "0") is var percent and not None ? percent + " %" : None,
    ];

    private static string Range(ModeReport mode)
    {
        var (least, most) = (mode.Cells.Min(cell => cell.BytesPerStep), mode.Cells.Max(cell => cell.BytesPerStep));
        return least == most ? ByteText.Of(least) : $"{ByteText.Of(least)} to {ByteText.Of(most)}";
    }

    private static string Loading(ModeReport mode) =>
        $"weights: {ByteText.Of(mode.WeightBytes)} {(mode.BytesRead > 0 ? "read" : "made on the devices")} at "
        + $"{Number(mode.LoadGigabytesPerSecond, "0.0")} GB/s";

    private static string Memory(RankMemoryReport rank) =>
        $"rank {rank.Rank} ({rank.Device}): "
        + string.Join(", ", rank.Bytes.Where(use => use.Value > 0).Select(use => $"{use.Key} {ByteText.Of(use.Value)}"))
        + (rank is { UsedBytes: { } used, PlannedBytes: { } planned, DeviationPercent: { } deviation }
            ? $"; uses {ByteText.Of(used)} of the device, {ByteText.Of(planned.Total)} planned ({Number(deviation, "+0.0;-0.0")} %)"
            : "");

    private static IEnumerable<string> AllReduce(ModeReport mode) => mode.AllReduce.Count == 0
        ? []
        :
        [
            "",
            .. TextTable.Of(
                ["all-reduce", "bytes", "us"],
                [.. mode.AllReduce.Select(sum => (string[])[sum.Method, Whole(sum.Bytes), Number(sum.Microseconds, "0.00")])]),
        ];

    private static IEnumerable<string> Operations(ModeReport mode) => mode.Operations
        .GroupBy(operation => (operation.Phase, operation.Batch, operation.Rows))
        .SelectMany(step => (string[])
        [
            "",
            .. TextTable.Of(
                [$"{step.Key.Phase}, batch {step.Key.Batch}, {step.Key.Rows} rows, timed one by one", "calls", "us a step"],
                [.. step.Select(operation => (string[])
                [
                    operation.Name,
                    Number(operation.CallsPerStep, "0.#"),
                    Number(operation.MicrosecondsPerStep, "0.0"),
                ])]),
        ]);

    // Above 1 where the first mode is better.
    private static IEnumerable<string> Comparison(ModeReport left, ModeReport right) =>
    [
        "",
        $"== {Title(left)} against {Title(right)}, same devices",
        .. TextTable.Of(
            ["prompt", "new", "batch", "first ms", "", "ratio", "tok/s all", "", "ratio"],
            [.. left.Cells.Zip(right.Cells, (a, b) => (string[])
            [
                Whole(a.PromptTokens),
                Whole(a.NewTokens),
                Whole(a.Batch),
                Number(a.TtftMs, "0.0"),
                Number(b.TtftMs, "0.0"),
                Number(b.TtftMs / a.TtftMs, "0.00") + "x",
                Number(a.TokensPerSecond, "0.0"),
                Number(b.TokensPerSecond, "0.0"),
                Number(a.TokensPerSecond / b.TokensPerSecond, "0.00") is var ratio and not None ? ratio + "x" : None,
            ])]),
    ];

    private static string Whole(long value) => value.ToString(CultureInfo.InvariantCulture);

    private static string Number(double? value, string format) =>
        value is { } number && double.IsFinite(number) ? number.ToString(format, CultureInfo.InvariantCulture) : None;
}
