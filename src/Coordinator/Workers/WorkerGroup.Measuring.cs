using TensorParallel.Protocol.Wire.Workers;

namespace TensorParallel.Coordinator.Workers;

internal sealed partial class WorkerGroup
{
    /// <summary>
    /// Has ranks measure, and gives the figures of each, in the order asked. The caller sees to it that no step runs: figures of a busy
    /// group mean little. Thread-safe. Throws <see cref="WorkerLostException"/> when a rank is lost or does not answer in time.
    /// </summary>
    /// <param name="kind">What.</param>
    /// <param name="sizes">Bytes of each message, for all-reduces.</param>
    /// <param name="ranks">Which ranks; null: all, as anything that they do together needs.</param>
    public async Task<IReadOnlyList<IReadOnlyList<RankFigure>>> MeasureAsync(
        MeasureKind kind, IReadOnlyList<long>? sizes = null, IReadOnlyList<int>? ranks = null)
    {
        var command = new WorkerCommand { Measure = new Measure { Kind = (Measure.Types.Kind)kind, Sizes = { sizes ?? [] } } };
        var asked = _ranks.Where(rank => ranks is null || ranks.Contains(rank.Rank)).ToList();
        var measured = await AskAsync(asked, rank => rank.MeasureAsync(command), $"has not measured {kind}");
        return [.. measured.Select(Figures)];
    }

    private static IReadOnlyList<RankFigure> Figures(Measured measured) =>
    [
        .. measured.Figures.Select(figure => new RankFigure(
            figure.Name, figure.Microseconds, figure.Bytes, figure.Rows, figure.Count, figure.Steps)),
    ];
}
