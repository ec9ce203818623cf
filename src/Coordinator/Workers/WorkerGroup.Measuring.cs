using TensorParallel.Protocol.Wire.Workers;

namespace TensorParallel.Coordinator.Workers;

internal sealed partial class WorkerGroup
{
    private readonly SemaphoreSlim _measuring = new(1);

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
        await _measuring.WaitAsync();
        try
        {
            var command = new WorkerCommand { Measure = new Measure { Kind = (Measure.Types.Kind)kind, Sizes = { sizes ?? [] } } };
            var asked = _ranks.Where(rank => ranks is null || ranks.Contains(rank.Rank)).ToList();
            var answers = asked.Select(rank => rank.MeasureAsync(command)).ToList();
            var all = Task.WhenAll(answers);
            if (await Task.WhenAny(all, _loss.Lost, Task.Delay(_options.StepTimeout)) != all && !_loss.Lost.IsCompleted)
            {
                var silent = asked[answers.FindIndex(answer => !answer.IsCompleted) is var index and >= 0 ? index : 0];
                silent.Lose($"has not measured {kind} within {_options.StepTimeout.TotalSeconds:0.#} s");
            }

            return all.IsCompletedSuccessfully ? [.. all.Result.Select(Figures)] : throw await _loss.Lost;
        }
        finally
        {
            _measuring.Release();
        }
    }

    private static IReadOnlyList<RankFigure> Figures(Measured measured) =>
    [
        .. measured.Figures.Select(figure => new RankFigure(
            figure.Name, figure.Microseconds, figure.Bytes, figure.Rows, figure.Count, figure.Steps)),
    ];
}
