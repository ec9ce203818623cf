using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;
using TensorParallel.TestKit;
using TensorParallel.Worker.Offloading;
using TensorParallel.Worker.Tests.Execution;
using Xunit;

namespace TensorParallel.Worker.Tests.Offloading;

/// <summary>A tiny model with weights in many places against the plain run, on devices of any kind.</summary>
internal static class OffloadCases
{
    /// <summary>Five blocks, so that groups of two and three leave some over.</summary>
    public static TinyCheckpointOptions Model { get; } = new() { Layers = 5, Hidden = 48, Vocab = 131, Heads = 4, KvHeads = 2 };

    /// <summary>The logits of all steps.</summary>
    public static void CheckLogits(
        int ranks, bool useDeviceMap, DType dtype, string kind, float tolerance, IEnumerable<string> placements,
        IEnumerable<(OffloadKind Kind, int Blocks, int Slots)> portions, OffloadOptions? options = null)
    {
        using var folder = new TemporaryFolder();
        TinyCheckpoint.Write(folder.Path, Model with { AttentionBias = true });
        var (plan, spec) = (GroupRun.Plan(folder.Path, ranks, dtype, useDeviceMap, kind: kind), OffloadPlans.Spec(folder.Path));
        var steps = OffloadRun.Script(plan.Limits, spec.VocabularySize, decodeSteps: 3);
        var (_, expected) = OffloadRun.Run(folder.Path, plan, steps, wantsLogits: true);
        Assert.NotEmpty(expected);
        foreach (var placement in placements)
        {
            foreach (var (portion, blocks, slots) in portions)
            {
                var offloaded = plan.Offload(spec, portion, blocks, slots, placement);
                var (_, logits) = OffloadRun.Run(folder.Path, offloaded, steps, wantsLogits: true, options);
                AssertClose(expected, logits, tolerance, $"{placement}, {portion}, {blocks} blocks, {slots} slots");
            }
        }
    }

    /// <summary>The tokens, where chunks of a prompt draw none, and further steps are issued before one is waited for.</summary>
    public static void CheckTokens(
        int ranks, bool useDeviceMap, DType dtype, string kind, string placement,
        IEnumerable<(OffloadKind Kind, int Blocks, int Slots)> portions, int decodeSteps)
    {
        using var folder = new TemporaryFolder();
        TinyCheckpoint.Write(folder.Path, Model);
        var (plan, spec) = (GroupRun.Plan(folder.Path, ranks, dtype, useDeviceMap, kind: kind), OffloadPlans.Spec(folder.Path));
        var steps = OffloadRun.Script(plan.Limits, spec.VocabularySize, decodeSteps);
        var (expected, _) = OffloadRun.Run(folder.Path, plan, steps, wantsLogits: false);
        Assert.Equal(3 + (2 * decodeSteps), expected.Length);
        foreach (var (portion, blocks, slots) in portions)
        {
            var offloaded = plan.Offload(spec, portion, blocks, slots, placement);
            Assert.Equal(expected, OffloadRun.Run(folder.Path, offloaded, steps, wantsLogits: false, ahead: 2).Tokens);
        }
    }

    /// <summary>Rows differ by no more than a fraction of the largest logit.</summary>
    public static void AssertClose(float[][] expected, float[][] actual, float tolerance, string what)
    {
        Assert.Equal(expected.Length, actual.Length);
        for (var i = 0; i < expected.Length; i++)
        {
            LogitAssert.Close(expected[i], actual[i], tolerance, $"{what}, row {i}");
        }
    }
}
