using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Generation;
using TensorParallel.Protocol.Parallel;
using TensorParallel.TestKit;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Execution;
using TensorParallel.Worker.Loading;
using TensorParallel.Worker.Modules;
using Xunit;

namespace TensorParallel.Worker.Tests.Execution;

public class WorkerModelTests
{
    public static TheoryData<string, int, bool, DType> Cases { get; } = new()
    {
        { "llama", 1, false, DType.BF16 },
        { "llama", 3, false, DType.F32 },
        { "llama_bias", 4, false, DType.BF16 },
        { "llama_tied_hd64", 3, false, DType.F16 },
        { "llama_tied_hd64", 5, true, DType.F32 },
    };

    [Theory]
    [MemberData(nameof(Cases))]
    public void MemoryIsWhatThePlanSays(string family, int ranks, bool useDeviceMap, DType dtype)
    {
        var folder = RepositoryPaths.Golden(family);
        var plan = GroupRun.Plan(folder, ranks, dtype, useDeviceMap);
        GroupRun.OnEachRank(plan, (context, device) =>
        {
            using var model = WorkerModel.Load(folder, plan, context);
            var rank = plan.Ranks[context.Rank];
            Assert.Equal(rank.WeightBytes, Current(device, MemoryPurpose.Weights));
            Assert.Equal(rank.KvBytes, Current(device, MemoryPurpose.KvCache));
            Assert.Equal(rank.WorkspaceBytes, Current(device, MemoryPurpose.Workspace));
        });
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void StepBuffersAreTheWorkspaceBuffers(string family, int ranks, bool useDeviceMap, DType dtype)
    {
        var folder = RepositoryPaths.Golden(family);
        var plan = GroupRun.Plan(folder, ranks, dtype, useDeviceMap);
        var spec = Protocol.Architectures.ArchitectureCatalog.Describe(Checkpoint.Open(folder).Config);
        using var device = new CpuDevice("cpu:0", threads: 1);
        foreach (var rank in plan.Ranks)
        {
            var planned = WorkspaceBuffers.For(spec, rank, plan.Limits, DType.F32);
            using var buffers = new StepBuffers(device, planned);
            Assert.Equal(planned.Sum(buffer => buffer.Bytes), Current(device, MemoryPurpose.Workspace));
        }

        Assert.Equal(0, Current(device, MemoryPurpose.Workspace));
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void DisposingReturnsAllMemory(string family, int ranks, bool useDeviceMap, DType dtype)
    {
        var folder = RepositoryPaths.Golden(family);
        var plan = GroupRun.Plan(folder, ranks, dtype, useDeviceMap);
        GroupRun.OnEachRank(plan, (context, device) =>
        {
            for (var round = 0; round < 2; round++)
            {
                using (var model = WorkerModel.Load(folder, plan, context))
                {
                    var penalised = new SamplingParameters { RepetitionPenalty = 1.2f };
                    var script = new StepScript(plan.Limits);
                    script.Add(script.Prompt(0, [3, 4, 5], penalised));
                    script.Add(script.Continue(0));
                    Assert.All(script.Steps, step => model.Step(step));
                }

                // What is left is scratch of the operations, which belongs to them.
                context.Ops.Dispose();
                Assert.All(device.MemoryUse(), use => Assert.Equal(0, use.Current));
            }
        });
    }

    [Fact]
    public void EachRankReadsOnlyItsPart()
    {
        var folder = RepositoryPaths.Golden("llama");
        var plan = GroupRun.Plan(folder, 4, DType.BF16);
        var total = Checkpoint.Open(folder).TotalBytes;
        GroupRun.OnEachRank(plan, (context, _) =>
        {
            var progress = new List<LoadProgress>();
            using var model = WorkerModel.Load(folder, plan, context, progress.Add);
            var report = model.LoadReport;
            Assert.Equal(plan.Ranks[context.Rank].WeightBytes, report.OwnedBytes);
            Assert.Equal(new LoadProgress(report.OwnedBytes, report.OwnedBytes), progress[^1]);
            Assert.True(report.OwnedBytes < total / 2, $"{report.OwnedBytes} of {total}");
            Assert.Equal(3, report.Files);
        });
    }

    [Fact]
    public void AFailedLoadLeavesNothingBehind()
    {
        using var folder = new TemporaryFolder();
        TinyCheckpoint.Write(folder.Path);
        var plan = GroupRun.Plan(folder.Path, 1, DType.F32);
        var rank = plan.Ranks[0];
        TensorSlice[] withoutNorm = [.. rank.Tensors.Where(t => t.Name != "model.norm.weight")];
        var noNorm = plan with { Ranks = [rank with { Tensors = withoutNorm }] };
        var wrongKv = plan with { Ranks = [rank with { KvBytes = rank.KvBytes - 1 }] };
        GroupRun.OnEachRank(plan, (context, device) =>
        {
            AssertFails<PlanException>(noNorm, context, device, "no part of \"model.norm.weight\"");
            AssertFails<PlanException>(wrongKv, context, device, "KV cache");
            AssertFails<PlanException>(plan with { WorldSize = 2 }, context, device, "2 ranks");
            var file = folder.File("model.safetensors");
            using (var stream = File.OpenWrite(file))
            {
                stream.SetLength(stream.Length - 1);
            }

            AssertFails<CheckpointException>(plan, context, device, file);
        });

        void AssertFails<T>(ExecutionPlan broken, RankContext context, IDevice device, string says)
            where T : Exception
        {
            var error = Assert.Throws<T>(() => WorkerModel.Load(folder.Path, broken, context));
            Assert.Contains(says, error.Message, StringComparison.Ordinal);
            Assert.All(device.MemoryUse(), use => Assert.Equal(0, use.Current));
        }
    }

    [Fact]
    public void ABrokenStepIsRefusedAndTheNextOneRuns()
    {
        var folder = RepositoryPaths.Golden("llama");
        var plan = GroupRun.Plan(folder, 1, DType.F32);
        GroupRun.OnEachRank(plan, (context, _) =>
        {
            using var model = WorkerModel.Load(folder, plan, context);
            var script = new StepScript(plan.Limits);
            script.Add(script.Prompt(0, [3, 4, 256]));
            Assert.Throws<StepException>(() => model.Step(script.Steps[0]));
            var good = new StepScript(plan.Limits);
            good.Add(good.Prompt(0, [3, 4, 255]));
            Assert.Single(model.Step(good.Steps[0]).Tokens);
        });
    }

    private static long Current(IDevice device, MemoryPurpose purpose) =>
        device.MemoryUse().Single(use => use.Purpose == purpose).Current;
}
