using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;
using Xunit;

namespace TensorParallel.Worker.Tests.Execution;

/// <summary>Feeds the reference's own ids and compares each step's logits, on devices of any kind.</summary>
internal static class GoldenLogits
{
    public static void Check(string family, int ranks, bool useDeviceMap, DType dtype, string kind)
    {
        var golden = new GoldenData(family);
        var plan = GroupRun.Plan(golden.Folder, ranks, dtype, useDeviceMap, kind: kind);
        Assert.Equal(useDeviceMap ? PlanMode.DeviceMap : PlanMode.TensorParallel, plan.Mode);

        // All prompts in one step, then all sequences together, one given token each.
        var script = new StepScript(plan.Limits);
        script.Add([.. golden.Prompts.Select(
            (prompt, slot) => script.Start(slot, prompt.Length, prompt, sample: false))]);
        for (var step = 0; step < 31; step++)
        {
            script.Add([.. golden.Prompts.Select(
                (_, slot) => script.Tokens(slot, [golden.Greedy(dtype, slot)[step]], sample: false))]);
        }

        var result = GroupRun.Run(golden.Folder, plan, script.Steps);
        for (var slot = 0; slot < golden.Prompts.Count; slot++)
        {
            Compare(golden, dtype, slot, result.LogitsOf(slot));
        }
    }

    private static void Compare(GoldenData golden, DType dtype, int slot, float[][] logits)
    {
        var tolerance = LogitAssert.Tolerance(dtype);
        Assert.Equal(32, logits.Length);
        LogitAssert.Close(golden.LastLogits(dtype, slot), logits[0], tolerance, $"prompt {slot}");
        if (dtype == DType.F32)
        {
            var reference = golden.StepLogits(slot);
            for (var step = 0; step < 32; step++)
            {
                LogitAssert.Close(reference[step], logits[step], tolerance, $"prompt {slot}, step {step}");
            }

            return;
        }

        // Of the bf16 run only the ids are recorded: the recorded one must be the best within the tolerance.
        for (var step = 0; step < 32; step++)
        {
            var row = logits[step];
            var best = row.Where((_, id) => id != 1).Max();
            var recorded = row[golden.Greedy(dtype, slot)[step]];
            Assert.True(
                best - recorded <= tolerance * row.Max(MathF.Abs),
                $"prompt {slot}, step {step}: the recorded id has the logit {recorded}, the best {best}");
        }
    }
}
