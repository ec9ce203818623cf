using TensorParallel.Protocol.Generation;
using TensorParallel.Protocol.Parallel;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Execution;
using TensorParallel.Worker.Offloading;
using TensorParallel.Worker.Tests.Execution;

namespace TensorParallel.Worker.Tests.Offloading;

/// <summary>Logits and tokens of a plan, with weights wherever it has them.</summary>
internal static class OffloadRun
{
    /// <summary>Everything that is off the device comes to it, in small pieces where it is read.</summary>
    public static OffloadOptions AllComes { get; } = new() { HostCompute = false, Threads = 2, ChunkBytes = 4096 };

    /// <summary>Runs the steps and gives the reporting rank's tokens, and its logits if they are wanted.</summary>
    /// <param name="folder">Model folder.</param>
    /// <param name="plan">The plan.</param>
    /// <param name="steps">The steps.</param>
    /// <param name="wantsLogits">Then every step computes logits of all its sequences; else of those that sample.</param>
    /// <param name="options">What the plan leaves open.</param>
    /// <param name="ahead">Steps that are issued before one is waited for.</param>
    /// <param name="after">Looks at a rank's device when all is done, before the model goes.</param>
    public static (int[] Tokens, float[][] Logits) Run(
        string folder, ExecutionPlan plan, IReadOnlyList<StepBatch> steps, bool wantsLogits, OffloadOptions? options = null,
        int ahead = 0, Action<RankPlan, IDevice>? after = null)
    {
        var tokens = Array.Empty<int>();
        var logits = Array.Empty<float[]>();
        GroupRun.OnEachRank(plan, (context, device) =>
        {
            using var model = WorkerModel.Load(folder, plan, context, offload: options ?? AllComes);
            var seen = new List<StepLogits>();
            if (wantsLogits)
            {
                model.Runner.LogitSink = seen.Add;
            }

            var results = new List<StepResult>();
            var pending = new Queue<IPendingStep>();
            foreach (var step in steps)
            {
                pending.Enqueue(model.Issue(step));
                if (pending.Count > ahead)
                {
                    results.Add(pending.Dequeue().Finish());
                }
            }

            results.AddRange(pending.Select(step => step.Finish()));
            after?.Invoke(plan.Ranks[context.Rank], device);
            if (results.Any(result => result.Tokens.Count > 0))
            {
                tokens = [.. results.SelectMany(result => result.Tokens).Select(token => token.TokenId)];
                logits = [.. seen.SelectMany(step => step.Rows)];
            }
        });
        return (tokens, logits);
    }

    /// <summary>A long prompt in chunks of which all but the last draw nothing, beside sequences that decode.</summary>
    public static IReadOnlyList<StepBatch> Script(StepLimits limits, int vocabulary, int decodeSteps = 8)
    {
        int[] prompt = [.. Enumerable.Range(0, 37).Select(i => ((i * 29) + 2) % vocabulary)];
        var script = new StepScript(limits);
        script.Add(script.Start(0, prompt.Length, prompt[..5], sample: false));
        script.Add(script.Tokens(0, prompt[5..16], sample: false));
        script.Add(script.Prompt(3, [5, 77, 3]), script.Tokens(0, prompt[16..17], sample: false));
        script.Add(script.Continue(3), script.Tokens(0, prompt[17..], sample: true));
        for (var step = 0; step < decodeSteps; step++)
        {
            script.Add(script.Continue(3), script.Continue(0));
        }

        return script.Steps;
    }
}
