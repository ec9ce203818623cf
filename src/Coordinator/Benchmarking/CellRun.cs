using System.Diagnostics;
using TensorParallel.Coordinator.Engine;
using TensorParallel.Coordinator.Hosting;
using TensorParallel.Protocol.Generation;

namespace TensorParallel.Coordinator.Benchmarking;

/// <summary>
/// Runs a cell once through the engine: fresh random prompts, ends of sequence ignored, all sequences submitted together.
/// </summary>
internal static class CellRun
{
    /// <summary>Runs it. Throws what the engine throws.</summary>
    public static async Task<CellTimes> MeasureAsync(ModelHost host, BenchCell cell, CancellationToken cancellationToken)
    {
        var stagger = BenchGrid.Stagger(cell, host.Model.Plan.Limits.MaxStepTokens);
        var options = new GenerateOptions { MaxNewTokens = cell.NewTokens + stagger, IgnoreEos = true };
        var requests = Enumerable.Range(0, cell.Batch)
            .Select(_ => host.Model.Requests.Create(PromptInput.OfIds(RandomIds(cell.PromptTokens, host.Model)), options))
            .ToList();
        var submitted = Stopwatch.GetTimestamp();
        var stamps = await Task.WhenAll(
            requests.Select(request => StampAsync(host.Engine, request, cell.NewTokens, cancellationToken)));

        // While the last sequence decodes, all others do too: they have been given tokens enough.
        var last = stamps.MaxBy(stamp => stamp.First);
        return new CellTimes(
            Stopwatch.GetElapsedTime(submitted, last.First),
            cell.NewTokens > 1 ? Stopwatch.GetElapsedTime(last.First, last.Last) / (cell.NewTokens - 1) : null);
    }

    // Fresh ids every time: nothing may be remembered from one run to the next.
    private static int[] RandomIds(int count, PreparedModel model) =>
        [.. Enumerable.Range(0, count).Select(_ => Random.Shared.Next(model.Spec.VocabularySize))];

    private static async Task<(long First, long Last)> StampAsync(
        InferenceEngine engine, GenerateRequest request, int newTokens, CancellationToken cancellationToken)
    {
        var (first, last, tokens) = (0L, 0L, 0);
        await foreach (var generated in engine.GenerateAsync(request, cancellationToken))
        {
            if (generated is GenerateEvent.Token)
            {
                tokens++;
                first = tokens == 1 ? Stopwatch.GetTimestamp() : first;
                last = tokens == newTokens ? Stopwatch.GetTimestamp() : last;
            }
        }

        return tokens >= newTokens ? (first, last) : throw new UnreachableException($"{tokens} of {newTokens} tokens were generated.");
    }
}
