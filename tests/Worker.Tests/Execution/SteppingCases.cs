using TensorParallel.Coordinator.Planning;
using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Generation;
using TensorParallel.Protocol.Parallel;
using TensorParallel.TestKit;
using TensorParallel.Worker.Collectives;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Execution;
using Xunit;

namespace TensorParallel.Worker.Tests.Execution;

/// <summary>
/// Many steps with sequences that come, go, are dropped in the middle and give their slots to others, of 1 to 9 at once, over contexts
/// of 256 and 512 tokens: however steps are issued, the tokens are the same.
/// </summary>
internal static class SteppingCases
{
    private static readonly LimitsRequest s_limits = new(
        MaxStepTokens: 320, MaxSequences: 10, MaxContextTokens: 640, KvBlockTokens: 16, KvBlocks: 200);

    private static readonly SamplingParameters[] s_exact =
    [
        new(),
        new() { Temperature = 0.9f, Seed = 11 },
        new() { RepetitionPenalty = 1.3f, FrequencyPenalty = 0.2f, MinNewTokens = 4, EosTokenIds = [1, 7] },
        new() { Temperature = 1.2f, PresencePenalty = 0.4f, Seed = 5 },
    ];

    private static readonly SamplingParameters[] s_any =
    [
        .. s_exact,
        new() { Temperature = 0.8f, TopP = 0.9f, Seed = 3 },
        new() { Temperature = 1, TopK = 80, Seed = 4 },
        new() { Temperature = 0.7f, MinP = 0.05f, Seed = 9 },
    ];

    /// <summary>Runs the steps in two ways and compares.</summary>
    /// <param name="ranks">Number of ranks.</param>
    /// <param name="useDeviceMap">Layers in sequence instead of tensor parallel.</param>
    /// <param name="dtype">Dtype of the run.</param>
    /// <param name="kind">Kind of the devices.</param>
    /// <param name="expected">Makes a device whose steps are right: they are waited for one by one.</param>
    /// <param name="tested">Makes the device that is tested; steps are always ahead of the one waited for.</param>
    /// <param name="filters">Whether some sequences have top-k, top-p or min-p.</param>
    /// <param name="microBatches">Parts of the sequences; a step goes on with one part.</param>
    /// <param name="testedGroup">What stands before the group of the run that is tested; null: nothing.</param>
    public static void Check(
        int ranks, bool useDeviceMap, DType dtype, string kind, Func<IDevice, IDevice> expected, Func<IDevice, IDevice> tested,
        bool filters, int microBatches = 1, Func<ICollective, IDevice, ICollective>? testedGroup = null)
    {
        using var folder = new TemporaryFolder();
        TinyCheckpoint.Write(folder.Path, new TinyCheckpointOptions { Layers = 3, Hidden = 48, Vocab = 131, Heads = 4, KvHeads = 2 });
        var plan = Plan(folder.Path, ranks, dtype, useDeviceMap, kind);
        var steps = Script(plan.Limits, filters ? s_any : s_exact, new Random(ranks), microBatches);
        var right = Run(folder.Path, plan, steps, expected, ahead: 0);
        var actual = Run(folder.Path, plan, steps, tested, ahead: microBatches + 1, testedGroup);
        for (var step = 0; step < steps.Count; step++)
        {
            Assert.Equal(right[step].Step, actual[step].Step);
            Assert.Equal(Tokens(right[step]), Tokens(actual[step]));
            Assert.Equal(steps[step].Sequences.Where(s => s.Sample).Select(s => s.Slot), actual[step].Tokens.Select(t => t.Slot));
        }
    }

    private static IEnumerable<(int Slot, int Token)> Tokens(StepResult result) => result.Tokens.Select(t => (t.Slot, t.TokenId));

    private static ExecutionPlan Plan(string folder, int ranks, DType dtype, bool useDeviceMap, string kind)
    {
        var spec = ArchitectureCatalog.Describe(Checkpoint.Open(folder).Config);
        var devices = Enumerable.Range(0, ranks).Select(rank => new PlanDevice($"{kind}:{rank}")).ToList();
        return Planner.Plan(new PlanRequest(spec, devices, dtype) { UseDeviceMap = useDeviceMap, Limits = s_limits });
    }

    private static List<StepResult> Run(
        string folder, ExecutionPlan plan, IReadOnlyList<StepBatch> steps, Func<IDevice, IDevice> wrap, int ahead,
        Func<ICollective, IDevice, ICollective>? group = null)
    {
        var results = new List<StepResult>[plan.WorldSize];
        GroupRun.OnEachRank(plan, (context, device) =>
        {
            var collective = group?.Invoke(context.Collective, device) ?? context.Collective;
            using var model = WorkerModel.Load(folder, plan, context with { Device = wrap(device), Collective = collective });
            var done = results[context.Rank] = [];
            var pending = new Queue<IPendingStep>();
            foreach (var step in steps)
            {
                pending.Enqueue(model.Issue(step));
                if (pending.Count > ahead)
                {
                    done.Add(pending.Dequeue().Finish());
                }
            }

            done.AddRange(pending.Select(step => step.Finish()));
        });
        return results.Single(rank => rank.Any(result => result.Tokens.Count > 0));
    }

    private static IReadOnlyList<StepBatch> Script(StepLimits limits, SamplingParameters[] settings, Random random, int microBatches)
    {
        var script = new StepScript(limits);
        var left = new Dictionary<int, int>();
        for (var step = 0; step < 150 * microBatches; step++)
        {
            int[] part = [.. left.Keys.Where(slot => slot % microBatches == step % microBatches).Order()];
            List<StepSequence> sequences = [.. part.Select(script.Continue)];

            // Waves: up to nine at once, then down to one, so that every number of rows comes several times.
            var wanted = step / microBatches % 60 < 30 ? 9 : 1;
            if (left.Count < wanted && (left.Count == 0 || random.Next(3) == 0))
            {
                var slot = Enumerable.Range(0, limits.MaxSequences).First(s => !left.ContainsKey(s));
                var length = random.Next(4) == 0 ? random.Next(236, 250) : random.Next(1, 30);
                var prompt = Enumerable.Range(0, length).Select(_ => random.Next(2, 131)).ToArray();
                var sampling = settings[random.Next(settings.Length)];
                sequences.Add(script.Prompt(slot, prompt, sampling));
                left[slot] = random.Next(3, 45);
            }

            if (sequences.Count > 0)
            {
                script.Add([.. sequences]);
            }

            foreach (var slot in part)
            {
                // Out of its tokens, or cancelled while further steps of it are under way.
                if (--left[slot] == 0)
                {
                    left.Remove(slot);
                }
            }
        }

        return script.Steps;
    }
}
