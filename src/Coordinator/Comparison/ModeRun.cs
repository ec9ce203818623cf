using System.Diagnostics;
using TensorParallel.Coordinator.Hosting;
using TensorParallel.Coordinator.Workers;
using TensorParallel.Protocol.Generation;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Comparison;

/// <summary>Runs the same requests through one way of spreading the model, one after another, and measures.</summary>
internal static class ModeRun
{
    /// <summary>
    /// Starts workers, generates once unmeasured, then each request the given number of times; ends the workers.
    /// </summary>
    public static async Task<ModeMeasurement> MeasureAsync(
        PreparedModel model,
        ModelArguments arguments,
        IReadOnlyList<GenerateRequest> requests,
        int repetitions,
        IProgress<LoadProgress> progress,
        ILoggerFactory loggers,
        CancellationToken cancellationToken)
    {
        await using var host = ModelHost.Create(model, arguments, progress, loggers);
        var clock = Stopwatch.StartNew();
        await host.StartAsync(cancellationToken);
        var loadSeconds = clock.Elapsed.TotalSeconds;

        // The first generation pays for just-in-time compilation, whatever the mode: it is not what is compared.
        await GenerateAsync(host, requests[0], cancellationToken);
        var tokens = new List<IReadOnlyList<int>>();
        var firstTokens = new List<double>();
        var rates = new List<double>();
        foreach (var request in requests)
        {
            for (var repetition = 0; repetition < repetitions; repetition++)
            {
                var (ids, timings) = await GenerateAsync(host, request, cancellationToken);
                firstTokens.Add(timings.TimeToFirstToken.TotalMilliseconds);
                rates.Add(timings.DecodeTokensPerSecond);
                if (repetition == 0)
                {
                    tokens.Add(ids);
                }
            }
        }

        return new ModeMeasurement(
            PlanModeNames.NameOf(model.Plan.Mode),
            model.Plan.WorldSize,
            loadSeconds,
            Median(firstTokens),
            Median(rates),
            host.Groups.Current!.PeakResidentBytes,
            tokens);
    }

    private static async Task<(IReadOnlyList<int> Ids, GenerateTimings Timings)> GenerateAsync(
        ModelHost host, GenerateRequest request, CancellationToken cancellationToken)
    {
        var ids = new List<int>();
        GenerateTimings? timings = null;
        await foreach (var generated in host.Engine.GenerateAsync(request, cancellationToken))
        {
            switch (generated)
            {
                case GenerateEvent.Token token:
                    ids.Add(token.Sampled.TokenId);
                    break;
                case GenerateEvent.Finished finished:
                    timings = finished.Timings;
                    break;
            }
        }

        return (ids, timings ?? throw new UnreachableException("A generation ended without its last event."));
    }

    private static double Median(List<double> values)
    {
        values.Sort();
        var middle = values.Count / 2;
        return values.Count % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
    }
}
