using System.Diagnostics;
using TensorParallel.Coordinator.Planning;
using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Generation;
using TensorParallel.Protocol.Parallel;
using TensorParallel.TestKit;
using TensorParallel.Worker.Collectives;
using TensorParallel.Worker.Execution;
using TensorParallel.Worker.Modules;
using TensorParallel.Worker.Ops.Cuda;

namespace TensorParallel.Benchmarks.Gpu;

/// <summary>
/// Whole decode steps as a worker makes them, on one GPU: the host's time to issue one, and the time from step to step, with and
/// without graphs, with one step ahead of the one waited for and without. The model has the 8B shape's 32 layers but an eighth of its
/// width, so that it is the host and the gaps that count.
/// </summary>
internal static class RunnerBenchmark
{
    private const int Prompt = 300;
    private const int WarmUp = 8;
    private const int Steps = 120;

    private static readonly TinyCheckpointOptions s_shape = new()
    {
        Layers = 32,
        Hidden = 512,
        Heads = 4,
        KvHeads = 1,
        HeadDim = 128,
        Intermediate = 1792,
        Vocab = 32_000,
        DType = DType.BF16,
    };

    public static void Run(GpuBench bench)
    {
        using var folder = new TemporaryFolder();
        TinyCheckpoint.Write(folder.Path, s_shape);
        Console.WriteLine($"whole decode steps, 32 layers of 512, vocabulary 32,000, context {Prompt}: us of the host to issue one, us a step");
        foreach (var (name, sampling) in ((string, SamplingParameters)[])[
            ("greedy", new()), ("top-p 0.9", new() { Temperature = 0.8f, TopP = 0.9f, Seed = 1 })])
        {
            foreach (var batch in (int[])[1, 4, 16, 64])
            {
                var (plainHost, plain) = Measure(bench, folder.Path, sampling, batch, graphs: false, ahead: 1);
                var (waitedHost, waited) = Measure(bench, folder.Path, sampling, batch, graphs: true, ahead: 0);
                var (host, step) = Measure(bench, folder.Path, sampling, batch, graphs: true, ahead: 1);
                Console.WriteLine(
                    $"{name,-10} batch {batch,2}: issued {plainHost,7:F1} {plain,8:F1}   replayed and waited for {waitedHost,7:F1} {waited,8:F1}" +
                    $"   replayed ahead {host,7:F1} {step,8:F1}");
            }
        }
    }

    private static (double Host, double Step) Measure(
        GpuBench bench, string folder, SamplingParameters sampling, int batch, bool graphs, int ahead)
    {
        bench.Device.RecordsGraphs = graphs;
        var plan = Plan(folder);
        using var samplingOps = new CudaSamplingOps(bench.Device);
        using var alone = new SingleRankCollective(bench.Device);
        using var model = WorkerModel.Load(folder, plan, new RankContext(0, 1, bench.Device, bench.Ops, samplingOps, alone));
        var pending = new Queue<IPendingStep>();
        var position = Prompt;
        for (var slot = 0; slot < batch; slot++)
        {
            model.Step(Start(slot, sampling, plan.Limits));
        }

        var hosts = new double[Steps];
        var began = 0L;
        for (var i = -WarmUp; i < Steps; i++)
        {
            began = i == 0 ? Stopwatch.GetTimestamp() : began;
            var start = Stopwatch.GetTimestamp();
            var batchOf = new StepBatch(batch + WarmUp + i, [.. Enumerable.Range(0, batch).Select(s => Continue(s, position, plan.Limits))]);
            pending.Enqueue(model.Issue(batchOf));
            position++;
            if (i >= 0)
            {
                hosts[i] = Stopwatch.GetElapsedTime(start).TotalMicroseconds;
            }

            while (pending.Count > ahead)
            {
                pending.Dequeue().Finish();
            }
        }

        var total = Stopwatch.GetElapsedTime(began).TotalMicroseconds;
        while (pending.Count > 0)
        {
            pending.Dequeue().Finish();
        }

        Array.Sort(hosts);
        return (hosts[Steps / 2], total / Steps);
    }

    private static ExecutionPlan Plan(string folder)
    {
        var spec = ArchitectureCatalog.Describe(Checkpoint.Open(folder).Config);
        var limits = new LimitsRequest(MaxStepTokens: 512, MaxSequences: 64, MaxContextTokens: 1024, KvBlockTokens: 16, KvBlocks: 64 * 64);
        return Planner.Plan(new PlanRequest(spec, [new PlanDevice("cuda:0")], DType.BF16) { Limits = limits });
    }

    private static StepBatch Start(int slot, SamplingParameters sampling, StepLimits limits)
    {
        int[] tokens = [.. Enumerable.Range(0, Prompt).Select(i => (i * 7) + slot + 2)];
        var start = new SequenceStart(Prompt, sampling with { Seed = (ulong)slot });
        return new StepBatch(slot, [new StepSequence(slot, start, 0, tokens, Blocks(slot, 0, Prompt, limits), Sample: true)]);
    }

    private static StepSequence Continue(int slot, int position, StepLimits limits) =>
        new(slot, null, position, [], Blocks(slot, position, position + 1, limits), Sample: true);

    // Blocks of a slot that hold the tokens up to the end and were not given before; slots take turns in the cache.
    private static int[] Blocks(int slot, int before, int end, StepLimits limits)
    {
        var held = (before + limits.KvBlockTokens - 1) / limits.KvBlockTokens;
        var needed = (end + limits.KvBlockTokens - 1) / limits.KvBlockTokens;
        return [.. Enumerable.Range(held, needed - held).Select(block => (block * limits.MaxSequences) + slot)];
    }
}
