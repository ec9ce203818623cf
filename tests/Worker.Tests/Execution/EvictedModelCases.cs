using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Generation;
using TensorParallel.TestKit;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Execution;
using Xunit;

namespace TensorParallel.Worker.Tests.Execution;

/// <summary>A model that is evicted between its sequences and comes back gives the tokens it gave before.</summary>
internal static class EvictedModelCases
{
    private const int Rounds = 4;

    /// <summary>Runs the same sequences in every round, with an eviction between two rounds.</summary>
    /// <param name="ranks">Number of ranks.</param>
    /// <param name="useDeviceMap">Layers in sequence instead of tensor parallel.</param>
    /// <param name="dtype">Dtype of the run.</param>
    /// <param name="kind">Kind of the devices.</param>
    /// <param name="isEvicted">Looks at a device whose memory is given back.</param>
    public static void Check(int ranks, bool useDeviceMap, DType dtype, string kind, Action<IDevice>? isEvicted = null)
    {
        using var folder = new TemporaryFolder();
        TinyCheckpoint.Write(folder.Path, new TinyCheckpointOptions { Layers = 3, Hidden = 48, Vocab = 131, Heads = 4, KvHeads = 2 });
        var plan = GroupRun.Plan(folder.Path, ranks, dtype, useDeviceMap, kind: kind);
        var script = new StepScript(plan.Limits);
        for (var round = 0; round < Rounds; round++)
        {
            script.Add(
                script.Prompt(0, [.. Enumerable.Range(0, 37).Select(i => (i * 29) % 131)]),
                script.Prompt(2, [5, 77, 3], new SamplingParameters { Temperature = 0.9f, Seed = 11, RepetitionPenalty = 1.2f }));
            for (var step = 0; step < 10; step++)
            {
                script.Add(script.Continue(2), script.Continue(0));
            }
        }

        var perRound = script.Steps.Count / Rounds;
        var tokens = new List<int[]>[ranks];
        GroupRun.OnEachRank(
            plan,
            (context, device) =>
            {
                using var model = WorkerModel.Load(folder.Path, plan, context);
                var rounds = tokens[context.Rank] = [];
                foreach (var steps in script.Steps.Chunk(perRound))
                {
                    rounds.Add([.. steps.Select(model.Step).SelectMany(result => result.Tokens).Select(token => token.TokenId)]);
                    device.Evict();
                    isEvicted?.Invoke(device);
                    device.Restore();
                }
            },
            evictable: true);

        var told = tokens.Single(rank => rank[0].Length > 0);
        Assert.All(told, round => Assert.Equal(told[0], round));
        Assert.Equal(22, told[0].Length);
    }
}
