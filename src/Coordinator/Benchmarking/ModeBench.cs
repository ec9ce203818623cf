using TensorParallel.Coordinator.Hosting;
using TensorParallel.Coordinator.Workers;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Benchmarking;

/// <summary>Measures one way of spreading a model: starts its workers, runs the grid, ends them.</summary>
/// <param name="model">The model and its plan.</param>
/// <param name="arguments">What it was prepared from.</param>
/// <param name="settings">What to measure.</param>
/// <param name="loggers">Logs of the workers.</param>
/// <param name="say">Told what is under way, a line each.</param>
internal sealed class ModeBench(
    PreparedModel model, ModelArguments arguments, BenchSettings settings, ILoggerFactory loggers, Action<string> say)
{
    private const long Gigabyte = 1_000_000_000;

    private static readonly long[] s_allReduceBytes = [8 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 16 << 20];

    // Graphs and plans of a shape are made by its first steps.
    private const int WarmUpTokens = 8;

    private ExecutionPlan Plan => model.Plan;

    private int MicroBatches { get; } = Engine.MicroBatches.Of(model.Plan, arguments.MicroBatches);

    /// <summary>Measures everything.</summary>
    /// <param name="before">Time from the start of the program until now where that belongs to the way to the first token.</param>
    /// <param name="progress">Told how far loading has come.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <exception cref="WorkerLostException">A worker was lost.</exception>
    public async Task<ModeReport> MeasureAsync(
        TimeSpan? before, IProgress<LoadProgress> progress, CancellationToken cancellationToken)
    {
        ModeReport report;
        await using (var host = ModelHost.Create(model, arguments, progress, loggers))
        {
            report = await MeasureAsync(host, before, cancellationToken);
        }

        if (!settings.Profile)
        {
            return report;
        }

        say("operations by kind …");
        var operations = await OperationProfile.MeasureAsync(model, arguments, settings.Grid, loggers, cancellationToken);
        return report with { Operations = operations };
    }

    private async Task<ModeReport> MeasureAsync(ModelHost host, TimeSpan? before, CancellationToken cancellationToken)
    {
        await host.StartAsync(cancellationToken);
        var group = host.Groups.Current!;
        var summary = group.LoadSummary!;
        var firstCell = settings.Grid.Cells[0] with { NewTokens = 1, Batch = 1 };
        var first = await CellRun.MeasureAsync(host, firstCell, cancellationToken);
        var memory = await RankMemoryReport.OfAsync(group, Plan, model.FreeBytes);
        var kernels = await group.MeasureAsync(MeasureKind.Kernels);
        var rates = await ReadRatesAsync(group);
        var allReduce = await AllReduceAsync(group);
        var cells = new List<CellReport>();
        foreach (var cell in settings.Grid.Cells)
        {
            cells.Add(await MeasureAsync(host, cell, rates, cancellationToken));
        }

        var weights = Plan.Ranks.Sum(
            rank => rank.WeightBytes + (rank.Offload is { } offload ? offload.HostBytes + offload.DiskBytes : 0));
        var loading = summary.Ranks.Max(rank => (rank.Parts.FirstOrDefault(part => part.Name == "weights").Duration
            is var part && part > TimeSpan.Zero ? part : rank.Elapsed).TotalSeconds);
        return new ModeReport
        {
            Mode = PlanModeNames.NameOf(Plan.Mode),
            WorldSize = Plan.WorldSize,
            MicroBatches = MicroBatches,
            MaxStepTokens = Plan.Limits.MaxStepTokens,
            WeightBytes = weights,
            BusBytesPerStep = StepBytes.OverBus(model),
            BytesRead = summary.BytesRead,
            LoadGigabytesPerSecond = loading > 0 ? (double)weights / Gigabyte / loading : 0,
            Start = [.. StartParts(before, summary, kernels, first.FirstToken)],
            KernelsLoaded = kernels.Max(figures => figures.First(figure => figure.Name == "loaded").Count),
            KernelsCompiled = kernels.Max(figures => figures.First(figure => figure.Name == "compiled").Count),
            Memory = memory,
            ReadRateSource = settings.ReadGigabytesPerSecond is null ? "measured" : "given",
            ReadGigabytesPerSecond = [.. rates.Select(rate => rate / Gigabyte)],
            AllReduce = allReduce,
            Cells = cells,
        };
    }

    private async Task<CellReport> MeasureAsync(
        ModelHost host, BenchCell cell, IReadOnlyList<double> rates, CancellationToken cancellationToken)
    {
        say($"{cell.PromptTokens} prompt and {cell.NewTokens} new tokens, batch {cell.Batch} …");
        var warmUp = cell with { NewTokens = Math.Min(cell.NewTokens, WarmUpTokens) };
        await CellRun.MeasureAsync(host, warmUp, cancellationToken);
        var runs = new List<CellTimes>();
        for (var run = 0; run < settings.Grid.Runs; run++)
        {
            runs.Add(await CellRun.MeasureAsync(host, cell, cancellationToken));
        }

        var bytes = StepBytes.OfRanks(model, cell, MicroBatches);
        var least = StepBytes.LeastSeconds(Plan.Mode, bytes, rates, Math.Min(MicroBatches, cell.Batch));
        return CellReports.Of(cell, runs, bytes.Sum(), least);
    }

    // Bytes a second. Ranks that work at once share what they share (processors: the memory), so they measure at once.
    private async Task<IReadOnlyList<double>> ReadRatesAsync(WorkerGroup group)
    {
        if (settings.ReadGigabytesPerSecond is { } given)
        {
            return [.. Plan.Ranks.Select(_ => given * Gigabyte)];
        }

        if (Plan.Mode == PlanMode.TensorParallel)
        {
            return [.. (await group.MeasureAsync(MeasureKind.ReadRate)).Select(Rate)];
        }

        var rates = new List<double>();
        foreach (var rank in Plan.Ranks)
        {
            rates.Add(Rate((await group.MeasureAsync(MeasureKind.ReadRate, ranks: [rank.Rank]))[0]));
        }

        return rates;

        static double Rate(IReadOnlyList<RankFigure> figures) => figures[0].Bytes / figures[0].Microseconds * 1e6;
    }

    private async Task<IReadOnlyList<AllReduceReport>> AllReduceAsync(WorkerGroup group)
    {
        if (Plan.WorldSize == 1 || Plan.Mode != PlanMode.TensorParallel)
        {
            return [];
        }

        // No message of a model is larger than a rank's workspace, and collectives are made for no larger ones.
        var largest = Plan.Ranks.Max(rank => rank.WorkspaceBytes);
        var ranks = await group.MeasureAsync(MeasureKind.AllReduce, [.. s_allReduceBytes.Where(bytes => bytes <= largest)]);
        return
        [
            .. ranks[0].Select((figure, i) => new AllReduceReport(
                figure.Name, figure.Bytes, ranks.Max(figures => figures[i].Microseconds))),
        ];
    }

    private static IEnumerable<PartReport> StartParts(
        TimeSpan? before,
        LoadSummary summary,
        IReadOnlyList<IReadOnlyList<RankFigure>> kernels,
        TimeSpan firstToken)
    {
        if (before is { } coordinator)
        {
            yield return new PartReport("coordinator", coordinator.TotalMilliseconds);
        }

        yield return new PartReport("processes", summary.Processes.TotalMilliseconds);
        foreach (var name in summary.Ranks.SelectMany(rank => rank.Parts).Select(part => part.Name).Distinct())
        {
            yield return new PartReport(
                name,
                summary.Ranks.Max(rank => rank.Parts.FirstOrDefault(part => part.Name == name).Duration).TotalMilliseconds);
        }

        yield return new PartReport("first token", firstToken.TotalMilliseconds);
        yield return new PartReport("all", ((before ?? TimeSpan.Zero) + summary.Elapsed + firstToken).TotalMilliseconds);
        yield return new PartReport("of it kernels", kernels.Max(figures => figures.Sum(figure => figure.Microseconds)) / 1000);
    }
}
