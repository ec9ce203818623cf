using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;
using TensorParallel.TestKit;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Execution;
using TensorParallel.Worker.Ops;
using TensorParallel.Worker.Ops.Cpu;
using TensorParallel.Worker.Ops.Cuda;
using Xunit;

namespace TensorParallel.Worker.Tests.Execution;

/// <summary>A tiny model of random weights, made from nothing but its config.json: the same at any number of ranks.</summary>
internal static class RandomWeightsModel
{
    private const string Config = """
        {
          "model_type": "llama", "num_hidden_layers": 3, "hidden_size": 96, "num_attention_heads": 6, "num_key_value_heads": 3,
          "head_dim": 16, "intermediate_size": 200, "vocab_size": 331, "max_position_embeddings": 512, "initializer_range": 0.05,
          "attention_bias": true
        }
        """;

    /// <summary>Tokens of two sequences on so many ranks, and the logits of the first of them; float32.</summary>
    public static (int[] Tokens, float[][] Logits) Run(int ranks, bool useDeviceMap, string kind = DeviceKinds.Cpu)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.File("config.json"), Config);
        var plan = GroupRun.Plan(folder.Path, ranks, DType.F32, useDeviceMap, kind: kind);
        var script = new StepScript(plan.Limits);
        script.Add(script.Prompt(0, [.. Enumerable.Range(0, 37).Select(i => (i * 29) % 331)]), script.Prompt(2, [5, 77, 3]));
        for (var step = 0; step < 12; step++)
        {
            script.Add(script.Continue(2), script.Continue(0));
        }

        var tokens = Array.Empty<int>();
        var logits = Array.Empty<float[]>();
        GroupRun.OnEachRank(plan, (context, device) =>
        {
            using var model = WorkerModel.Load(folder.File("config.json"), plan, context, randomWeights: MeasuringOn(device));
            var seen = new List<StepLogits>();
            model.Runner.LogitSink = seen.Add;
            var results = script.Steps.Select(model.Step).ToList();
            Assert.Equal(0, model.LoadReport.BytesRead);
            if (results.Any(result => result.Tokens.Count > 0))
            {
                tokens = [.. results.SelectMany(result => result.Tokens).OrderBy(token => token.Slot).Select(token => token.TokenId)];
                logits = [.. seen.Select(step => step.Rows[step.Slots.ToList().IndexOf(0)])];
            }
        });
        return (tokens, logits);
    }

    private static IMeasuringOps MeasuringOn(IDevice device) => device switch
    {
        CpuDevice cpu => new CpuMeasuringOps(cpu),
        CudaDevice cuda => new CudaMeasuringOps(cuda),
        _ => throw new ArgumentException($"No measuring on {device.Name}.", nameof(device)),
    };
}
