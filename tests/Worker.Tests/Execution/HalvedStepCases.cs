using TensorParallel.Protocol.Checkpoints;
using TensorParallel.TestKit;
using Xunit;

namespace TensorParallel.Worker.Tests.Execution;

/// <summary>Steps whose rows go through the blocks in two halves give the logits of steps whose rows go together.</summary>
internal static class HalvedStepCases
{
    private static readonly int[] s_long = [.. Enumerable.Range(0, 61).Select(i => (i * 29) % 101)];

    /// <summary>
    /// Compares both. Steps are halved inside a sequence, between two, and beside sequences that decode; the last sequence has a row in each half.
    /// </summary>
    /// <param name="ranks">Number of ranks.</param>
    /// <param name="dtype">Dtype of the run.</param>
    /// <param name="tolerance">Of the largest logit.</param>
    /// <param name="kind">Kind of the devices.</param>
    public static void Check(int ranks, DType dtype, float tolerance, string kind)
    {
        using var folder = new TemporaryFolder();
        TinyCheckpoint.Write(folder.Path, new TinyCheckpointOptions { Layers = 3, Hidden = 64, Vocab = 101, Heads = 4, KvHeads = 2, HeadDim = 16 });
        var plan = GroupRun.Plan(folder.Path, ranks, dtype, kind: kind);
        var script = new StepScript(plan.Limits);
        script.Add(script.Prompt(0, s_long));
        script.Add(script.Continue(0), script.Prompt(1, s_long[7..27]), script.Prompt(3, s_long[..21]));
        script.Add(script.Continue(1), script.Continue(0));
        script.Add(script.Start(2, 22, s_long[..11], sample: false), script.Continue(3), script.Continue(1), script.Continue(0));
        script.Add(script.Continue(0), script.Tokens(2, s_long[11..22], sample: true));
        script.Add(script.Continue(2), script.Prompt(4, s_long[3..5]));
        script.Add(script.Prompt(1, s_long[40..42]));
        var whole = GroupRun.Run(folder.Path, plan, script.Steps);
        var sums = new int[ranks];
        var halved = GroupRun.Run(folder.Path, plan, script.Steps, context => context with
        {
            Collective = new HalvingCollective(context.Collective, rows: 2),
        }, context => sums[context.Rank] = ((HalvingCollective)context.Collective).Sums);
        foreach (var slot in (int[])[0, 1, 2, 3, 4])
        {
            var (a, b) = (whole.LogitsOf(slot), halved.LogitsOf(slot));
            Assert.Equal(a.Length, b.Length);
            for (var i = 0; i < a.Length; i++)
            {
                LogitAssert.Close(a[i], b[i], tolerance, $"slot {slot}, row {i}");
            }
        }

        // Two a layer and half; logits are looked at, so that no step is recorded and all seven are halved.
        Assert.All(sums, count => Assert.Equal(7 * 3 * 2 * 2, count));
    }
}
