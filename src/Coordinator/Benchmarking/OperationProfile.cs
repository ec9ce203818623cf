using TensorParallel.Coordinator.Hosting;
using TensorParallel.Coordinator.Workers;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Benchmarking;

/// <summary>
/// Time of a step by kind of operation, from a group whose workers time every one. Timing keeps operations from overlapping, so the
/// parts add up to more than a step takes without it: they say where the time goes, not how long a step is. Steps are of the whole batch,
/// one stage at a time.
/// </summary>
internal static class OperationProfile
{
    private const string Step = "step";
    private const int NewTokens = 17;

    // In a device map the ranks' parts are added up, and a wait for another rank is that rank's work.
    private static readonly string[] s_waits = ["send", "receive"];

    /// <summary>Profiles each batch with the shortest prompt of the grid.</summary>
    public static async Task<IReadOnlyList<OperationReport>> MeasureAsync(
        PreparedModel model, ModelArguments arguments, BenchGrid grid, ILoggerFactory loggers, CancellationToken cancellationToken)
    {
        await using var host = ModelHost.Create(
            model, arguments with { TimeOperations = true, MicroBatches = 1 }, new Progress<LoadProgress>(), loggers);
        await host.StartAsync(cancellationToken);
        var group = host.Groups.Current!;
        var reports = new List<OperationReport>();
        foreach (var batch in grid.Batches.Distinct())
        {
            var newTokens = Math.Min(NewTokens, grid.NewTokens.Max());
            var cell = new BenchCell(grid.PromptTokens.Min(), newTokens, batch);
            await CellRun.MeasureAsync(host, cell, cancellationToken); // loads kernels
            await group.MeasureAsync(MeasureKind.Operations);
            await CellRun.MeasureAsync(host, cell, cancellationToken);
            reports.AddRange(Of(model.Plan.Mode, batch, await group.MeasureAsync(MeasureKind.Operations)));
        }

        return reports;
    }

    /// <summary>The figures of all ranks as reports: the decode step of the whole batch, and the largest prefill step.</summary>
    internal static IReadOnlyList<OperationReport> Of(
        PlanMode mode, int batch, IReadOnlyList<IReadOnlyList<RankFigure>> ranks)
    {
        var rows = ranks.SelectMany(figures => figures).Select(figure => figure.Rows).Distinct().ToList();
        var prefill = rows.DefaultIfEmpty().Max();
        return
        [
            .. prefill > batch ? OfRows("prefill", prefill) : [],
            .. rows.Contains(batch) ? OfRows("decode", batch) : [],
        ];

        IEnumerable<OperationReport> OfRows(string phase, int wanted) => ranks
            .SelectMany(figures => figures)
            .Where(figure => figure.Rows == wanted && figure.Steps > 0)
            .Where(figure => mode == PlanMode.TensorParallel || !s_waits.Contains(figure.Name))
            .GroupBy(figure => figure.Name)
            .Select(kind => new OperationReport(
                phase,
                batch,
                wanted,
                kind.Key,
                Together(kind, figure => (double)figure.Count / figure.Steps),
                Together(kind, figure => figure.Microseconds / figure.Steps)))
            .OrderBy(report => report.Name == Step)
            .ThenByDescending(report => report.MicrosecondsPerStep);

        double Together(IGrouping<string, RankFigure> kind, Func<RankFigure, double> value) =>
            mode == PlanMode.TensorParallel || kind.Key == Step ? kind.Max(value) : kind.Sum(value);
    }
}
