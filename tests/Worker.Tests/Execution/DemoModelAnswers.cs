using System.Text.Json;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Generation;
using TensorParallel.TestKit;
using Xunit;

namespace TensorParallel.Worker.Tests.Execution;

/// <summary>
/// The demo model's recorded answers: five prompts, 96 tokens each, all five sequences in every step, on devices of any kind.
/// </summary>
internal static class DemoModelAnswers
{
    private const int NewTokens = 96;

    private static readonly SamplingParameters s_greedy = new() { MinNewTokens = NewTokens, EosTokenIds = [1] };

    public static void Check(int ranks, bool useDeviceMap, DType dtype, string kind)
    {
        var entries = Entries();
        var plan = GroupRun.Plan(RepositoryPaths.DemoModel, ranks, dtype, useDeviceMap, kind: kind);
        var script = new StepScript(plan.Limits);
        var sampling = s_greedy with { LogProbs = 10 };
        script.Add([.. entries.Select((entry, slot) => script.Prompt(slot, entry.Prompt, sampling))]);
        for (var step = 1; step < NewTokens; step++)
        {
            script.Add([.. entries.Select((_, slot) => script.Continue(slot))]);
        }

        var result = GroupRun.Run(RepositoryPaths.DemoModel, plan, script.Steps);
        for (var slot = 0; slot < entries.Length; slot++)
        {
            var (entry, isSingle) = (entries[slot], dtype == DType.F32);
            var tolerance = LogitAssert.Tolerance(dtype) * entry.MaxLogit;
            SampledToken[] tokens = [.. result.Reported.SelectMany(r => r.Tokens).Where(t => t.Slot == slot)];
            Compare(entry, isSingle ? entry.GreedySingle : entry.GreedyHalf, tokens, isSingle ? 2e-3f : tolerance);
            var top = result.LogitsOf(slot)[0];
            Assert.All(
                entry.TopIds.Zip(entry.TopLogits), best => Assert.Equal(best.Second, top[best.First], tolerance));
            if (isSingle)
            {
                Assert.Equal(entry.TopIds, tokens[0].TopLogProbs.Select(t => t.TokenId));
            }
        }
    }

    private static void Compare(Entry entry, int[] reference, SampledToken[] tokens, float allowedGap)
    {
        Assert.Equal(NewTokens, tokens.Length);
        for (var step = 0; step < NewTokens; step++)
        {
            var position = entry.Prompt.Length + step;
            if (tokens[step].TokenId != reference[position])
            {
                Assert.True(
                    entry.Gaps[step] <= allowedGap,
                    $"step {step}: {tokens[step].TokenId} instead of {reference[position]}, lead {entry.Gaps[step]}");
                return;
            }

            // The recorded log-probabilities are those of the float32 ids, and leave the first token out.
            if (reference.AsSpan(0, position + 1).SequenceEqual(entry.GreedySingle.AsSpan(0, position + 1)))
            {
                Assert.Equal(entry.LogProbs[position - 1], tokens[step].LogProb!.Value, 2 * allowedGap);
            }
        }
    }

    private static Entry[] Entries()
    {
        using var json = JsonDocument.Parse(File.ReadAllText(Path.Combine(RepositoryPaths.DemoModel, "golden.json")));
        return [.. json.RootElement.EnumerateArray().Select(e => new Entry(
            Integers(e, "input_ids"),
            Integers(e, "greedy_fp32"),
            Integers(e, "greedy_bf16"),
            Floats(e, "top1_minus_top2_fp32"),
            Floats(e, "token_logprobs_fp32"),
            Integers(e, "top10_ids"),
            Floats(e, "top10_logits_fp32"),
            e.GetProperty("max_abs_logit_fp32").GetSingle()))];
    }

    private static int[] Integers(JsonElement entry, string name) =>
        [.. entry.GetProperty(name).EnumerateArray().Select(v => v.GetInt32())];

    private static float[] Floats(JsonElement entry, string name) =>
        [.. entry.GetProperty(name).EnumerateArray().Select(v => v.GetSingle())];

    private sealed record Entry(
        int[] Prompt,
        int[] GreedySingle,
        int[] GreedyHalf,
        float[] Gaps,
        float[] LogProbs,
        int[] TopIds,
        float[] TopLogits,
        float MaxLogit);
}
