using System.Text.Json;
using TensorParallel.Coordinator.Benchmarking;
using TensorParallel.Coordinator.Workers;
using TensorParallel.Protocol.Parallel;
using Xunit;

namespace TensorParallel.Coordinator.Tests.Benchmarking;

public class BenchReportTests
{
    [Fact]
    public void FiguresAreMediansOfTheRuns()
    {
        var runs = ((double First, double Decode)[])[(100, 5), (300, 4), (200, 20)];

        var cell = CellReports.Of(new BenchCell(512, 128, 4), [.. runs.Select(run => Times(run.First, run.Decode))], 1000, 0.001);

        Assert.Equal((200, 5), (cell.TtftMs, cell.DecodeMsPerToken));
        Assert.Equal(512 * 4 / 0.2, cell.PromptTokensPerSecond, 6);
        Assert.Equal((200.0, 800.0), (cell.TokensPerSecondPerSequence!.Value, cell.TokensPerSecond!.Value));
        Assert.Equal(0.2, cell.MemoryUtilisation!.Value, 9);
        Assert.Equal([100, 300, 200], cell.TtftMsRuns);
    }

    [Fact]
    public void ACellOfOneTokenHasNoDecoding()
    {
        var cell = CellReports.Of(new BenchCell(8, 1, 1), [new CellTimes(TimeSpan.FromMilliseconds(10), null)], 1000, 0.001);

        Assert.Null(cell.DecodeMsPerToken);
        Assert.Null(cell.TokensPerSecond);
        Assert.Null(cell.MemoryUtilisation);
    }

    [Theory]
    [InlineData(new[] { 3.0, 1, 2 }, 2)]
    [InlineData(new[] { 4.0, 1, 2, 3 }, 2.5)]
    public void TheMedianIsTheMiddle(double[] values, double expected) => Assert.Equal(expected, Medians.Of(values));

    [Fact]
    public void TheTableShowsBothModesAndTheirRatio()
    {
        var lines = BenchText.Of(Report());

        Assert.Contains("coordinator bench --compare device-map", lines);
        Assert.Contains("== tensor_parallel on 2", lines);
        Assert.Contains("prompt  new  batch  first ms  prompt tok/s  ms/token  tok/s each  tok/s all  memory", lines);
        Assert.Contains("512     128      4      50.0         40960     4.000       250.0     1000.0    80 %", lines);
        Assert.Contains("512     128      4     100.0         20480    10.000       100.0      400.0    32 %", lines);
        Assert.Contains("512     128      4      50.0  100.0  2.00x     1000.0  400.0  2.50x", lines);
        Assert.Contains("nccl         8192  6.50", lines);
        Assert.Contains("40 kernels loaded, 2 of them compiled", lines);
        Assert.Contains(lines, line => line.Contains("rate measured: 4200 / 4100 GB/s", StringComparison.Ordinal));
        Assert.Contains(
            ["attention", "2", "33.5"], lines.Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries)));
    }

    [Fact]
    public void MicroBatchesAreNamed()
    {
        var report = Report();
        var pipelined = report.Modes[1] with { MicroBatches = 2 };

        var lines = BenchText.Of(report with { Modes = [pipelined, report.Modes[1]] });

        Assert.Contains("== device_map in 2 micro-batches on 2", lines);
        Assert.Contains("== device_map in 2 micro-batches against device_map, same devices", lines);
    }

    [Fact]
    public void TheJsonHasTheFiguresInSnakeCase()
    {
        using var json = JsonDocument.Parse(Report().ToJson());

        var root = json.RootElement;
        Assert.Equal("bfloat16", root.GetProperty("dtype").GetString());
        var mode = root.GetProperty("modes")[0];
        Assert.Equal("tensor_parallel", mode.GetProperty("mode").GetString());
        Assert.Equal(4000, mode.GetProperty("start")[0].GetProperty("ms").GetDouble());
        Assert.Equal(6.5, mode.GetProperty("all_reduce")[0].GetProperty("microseconds").GetDouble());
        Assert.Equal(123, mode.GetProperty("memory")[0].GetProperty("bytes").GetProperty("Weights").GetInt64());
        var cell = mode.GetProperty("cells")[0];
        Assert.Equal(50, cell.GetProperty("ttft_ms").GetDouble());
        Assert.Equal(4, cell.GetProperty("decode_ms_per_token").GetDouble());
        Assert.Equal(0.8, cell.GetProperty("memory_utilisation").GetDouble(), 9);
        Assert.Equal(33.5, mode.GetProperty("operations")[0].GetProperty("microseconds_per_step").GetDouble());
    }

    [Fact]
    public void OperationsAreOfTheSlowestRankOrOfAllStagesTogether()
    {
        IReadOnlyList<IReadOnlyList<RankFigure>> ranks =
        [
            [Figure("norm", 40, 2, 20, 10), Figure("receive", 900, 2, 10, 10), Figure("step", 1000, 2, 10, 10), Figure("norm", 7, 64, 4, 1)],
            [Figure("norm", 60, 2, 40, 10), Figure("attention", 110, 2, 10, 10), Figure("step", 800, 2, 10, 10)],
        ];

        var together = OperationProfile.Of(PlanMode.DeviceMap, 2, ranks);
        var slowest = OperationProfile.Of(PlanMode.TensorParallel, 2, ranks);

        Assert.Equal(
            [("prefill", "norm", 4.0, 7.0), ("decode", "attention", 1, 11), ("decode", "norm", 6, 10), ("decode", "step", 1, 100)],
            together.Select(operation => (operation.Phase, operation.Name, operation.CallsPerStep, operation.MicrosecondsPerStep)));
        Assert.Equal(
            ["receive", "attention", "norm", "step"], slowest.Where(operation => operation.Phase == "decode").Select(operation => operation.Name));
        Assert.Equal(6, slowest.Single(operation => operation is { Phase: "decode", Name: "norm" }).MicrosecondsPerStep);
    }

    private static RankFigure Figure(string name, double microseconds, int rows, int count, int steps) =>
        new(name, microseconds, 0, rows, count, steps);

    private static CellTimes Times(double first, double decode) =>
        new(TimeSpan.FromMilliseconds(first), TimeSpan.FromMilliseconds(decode));

    private static BenchReport Report() => new(
        "coordinator bench --compare device-map",
        "tiny.json",
        "random",
        "bfloat16",
        ["cuda:0", "cuda:1"],
        1,
        [],
        [Mode("tensor_parallel", 50, 4), Mode("device_map", 100, 10)]);

    private static ModeReport Mode(string name, double first, double decode) => new()
    {
        Mode = name,
        WorldSize = 2,
        MaxStepTokens = 2048,
        WeightBytes = 246,
        BytesRead = 0,
        LoadGigabytesPerSecond = 1.5,
        Start = [new PartReport("processes", 4000)],
        KernelsLoaded = 40,
        KernelsCompiled = 2,
        Memory = [new RankMemoryReport(0, "cuda:0", new Dictionary<string, long> { ["Weights"] = 123 })],
        ReadRateSource = "measured",
        ReadGigabytesPerSecond = [4200, 4100],
        AllReduce = [new AllReduceReport("nccl", 8192, 6.5)],
        Cells = [CellReports.Of(new BenchCell(512, 128, 4), [Times(first, decode)], 1000, 0.0032)],
        Operations = [new OperationReport("decode", 4, 4, "attention", 2, 33.5)],
    };
}
