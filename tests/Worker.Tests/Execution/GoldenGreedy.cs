using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Generation;
using Xunit;

namespace TensorParallel.Worker.Tests.Execution;

/// <summary>Lets the model run on its own tokens, on devices of any kind, and compares the sequence.</summary>
internal static class GoldenGreedy
{
    private const int NewTokens = 32;

    // The reference never drew the end-of-sequence id 1.
    private static readonly SamplingParameters s_greedy = new() { MinNewTokens = NewTokens, EosTokenIds = [1] };

    public static void Check(string family, int ranks, bool useDeviceMap, DType dtype, string kind)
    {
        var golden = new GoldenData(family);
        var plan = GroupRun.Plan(golden.Folder, ranks, dtype, useDeviceMap, kind: kind);
        var script = new StepScript(plan.Limits);
        script.Add([.. golden.Prompts.Select((prompt, slot) => script.Prompt(slot, prompt, s_greedy))]);
        for (var step = 1; step < NewTokens; step++)
        {
            script.Add([.. golden.Prompts.Select((_, slot) => script.Continue(slot))]);
        }

        var result = GroupRun.Run(golden.Folder, plan, script.Steps);
        for (var slot = 0; slot < golden.Prompts.Count; slot++)
        {
            var allowedGap = dtype == DType.F32 ? 2e-3f : 3e-2f * golden.LastLogits(dtype, slot).Max(MathF.Abs);
            Compare(golden.Greedy(dtype, slot), golden.Gaps(dtype, slot), result.TokensOf(slot), allowedGap, slot);
        }

        var silent = Enumerable.Range(0, ranks).Where(r => r != result.ReportingRank);
        Assert.All(silent, rank => Assert.All(result.Results[rank], r => Assert.Empty(r.Tokens)));
        Assert.Equal(useDeviceMap ? Math.Min(ranks - 1, 2) : 0, result.ReportingRank);
    }

    private static void Compare(int[] reference, float[] gaps, int[] actual, float allowedGap, int slot)
    {
        Assert.Equal(NewTokens, actual.Length);
        for (var step = 0; step < NewTokens; step++)
        {
            if (actual[step] != reference[step])
            {
                Assert.True(
                    gaps[step] <= allowedGap,
                    $"prompt {slot}, step {step}: {actual[step]} instead of {reference[step]}, lead {gaps[step]}");

                // From here on the run has another history.
                return;
            }
        }
    }
}
