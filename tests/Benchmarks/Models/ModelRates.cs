using System.Diagnostics;
using Microsoft.Extensions.Logging.Abstractions;
using TensorParallel.Benchmarks.Ops;
using TensorParallel.Coordinator.Engine;
using TensorParallel.Coordinator.Hosting;
using TensorParallel.Coordinator.Workers;
using TensorParallel.Protocol.Generation;

namespace TensorParallel.Benchmarks.Models;

/// <summary>Rates of one model at one number of workers; medians of several runs.</summary>
/// <param name="Prefill128">Prompt tokens/s of a 128-token prompt: tokens over the time to the first token.</param>
/// <param name="Prefill512">The same for 512 tokens.</param>
/// <param name="Decode">Tokens/s of one sequence.</param>
/// <param name="ReadGBytes">GB/s of plain sums right before and right after the decodes.</param>
/// <param name="OfReadLimit">Part of that rate which the weights alone were read at, decode by decode.</param>
/// <param name="LeastOfReadLimit">The least of these parts.</param>
/// <param name="MostOfReadLimit">The largest.</param>
/// <param name="DecodeOfEight">Tokens/s of eight sequences together.</param>
/// <param name="LoadSeconds">From starting the processes to ready.</param>
internal sealed record ModelRates(
    double Prefill128, double Prefill512, double Decode, double ReadGBytes, double OfReadLimit, double LeastOfReadLimit,
    double MostOfReadLimit, double DecodeOfEight, double LoadSeconds)
{
    private const int Runs = 3;
    private const int DecodeRuns = 9;
    private const int SumsBeside = 8;
    private const int NewTokens = 32;

    /// <summary>Starts workers, warms up, measures, ends the workers.</summary>
    public static async Task<ModelRates> MeasureAsync(string folder, int workers, MemorySum memory)
    {
        var arguments = new ModelArguments { Model = folder, CpuWorkers = workers, MaxContext = 1024, DType = "bfloat16" };
        var model = await PreparedModel.PrepareAsync(arguments, PreparationScope.Run, CancellationToken.None);
        await using var host = ModelHost.Create(model, arguments, new Progress<LoadProgress>(), NullLoggerFactory.Instance);
        await host.StartAsync(CancellationToken.None);
        for (var warmUp = 0; warmUp < 3; warmUp++)
        {
            await GenerateAsync(host, 128, NewTokens);
        }

        var prefill128 = new List<double>();
        var prefill512 = new List<double>();
        var decode = new List<double>();
        var eight = new List<double>();
        for (var run = 0; run < Runs; run++)
        {
            prefill128.Add(128 / (await GenerateAsync(host, 128, 1)).TimeToFirstToken.TotalSeconds);
            prefill512.Add(512 / (await GenerateAsync(host, 512, 1)).TimeToFirstToken.TotalSeconds);
            eight.Add((await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => GenerateAsync(host, 16, NewTokens))))
                .Sum(timings => timings.DecodeTokensPerSecond));
        }

        var reads = new List<double>();
        var parts = new List<double>();
        var bytes = BytesPerToken(model, workers);
        for (var run = 0; run < DecodeRuns; run++)
        {
            // The rate of a shared machine's memory changes by half within seconds: it is asked on both sides of each decode.
            var before = memory.SustainedGBytes(SumsBeside);
            decode.Add((await GenerateAsync(host, 16, NewTokens)).DecodeTokensPerSecond);
            reads.Add((before + memory.SustainedGBytes(SumsBeside)) / 2);
            parts.Add(decode[^1] * bytes / 1e9 / reads[^1]);
        }

        return new ModelRates(
            Median(prefill128),
            Median(prefill512),
            Median(decode),
            Median(reads),
            Median(parts),
            parts.Min(),
            parts.Max(),
            Median(eight),
            host.Groups.Current!.LoadSummary!.Elapsed.TotalSeconds);
    }

    // The embedding is a look-up; a tied table is read whole as the head, so it counts once either way.
    private static long BytesPerToken(PreparedModel model, int workers)
    {
        var embedding = model.Spec.TieWordEmbeddings ? 0 : (long)model.Spec.VocabularySize * model.Spec.HiddenSize * 2;
        return model.Plan.Ranks.Sum(rank => rank.WeightBytes) - (embedding * workers);
    }

    private static async Task<GenerateTimings> GenerateAsync(ModelHost host, int promptTokens, int newTokens)
    {
        // Fresh ids every time: nothing may be remembered from one run to the next.
        var ids = Enumerable.Range(0, promptTokens).Select(_ => Random.Shared.Next(10, host.Model.Spec.VocabularySize)).ToArray();
        var request = host.Model.Requests.Create(
            PromptInput.OfIds(ids), new GenerateOptions { MaxNewTokens = newTokens, IgnoreEos = true });
        await foreach (var generated in host.Engine.GenerateAsync(request, CancellationToken.None))
        {
            if (generated is GenerateEvent.Finished finished)
            {
                return finished.Timings;
            }
        }

        throw new UnreachableException("A generation ended without its last event.");
    }

    private static double Median(List<double> values) => values.Order().ElementAt(values.Count / 2);
}
