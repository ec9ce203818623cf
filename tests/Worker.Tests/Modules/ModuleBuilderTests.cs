using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;
using TensorParallel.TestKit;
using TensorParallel.Worker.Collectives;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.KvCache;
using TensorParallel.Worker.Modules;
using TensorParallel.Worker.Ops.Cpu;
using TensorParallel.Worker.Quantization;
using TensorParallel.Worker.Tests.Execution;
using Xunit;

namespace TensorParallel.Worker.Tests.Modules;

public class ModuleBuilderTests
{
    private const string Query = "model.layers.1.self_attn.q_proj.weight";

    private static readonly ModelSpec s_spec =
        ArchitectureCatalog.Describe(Checkpoint.Open(RepositoryPaths.Golden("llama_tied_hd64")).Config);

    private static readonly ExecutionPlan s_plan =
        GroupRun.Plan(RepositoryPaths.Golden("llama_tied_hd64"), 2, DType.F32);

    [Fact]
    public void LayersThatReadTheSameRowsShareOneBuffer()
    {
        Build(s_plan, (built, _) =>
        {
            AssertShared("q_proj", "k_proj", "v_proj");
            AssertShared("gate_proj", "up_proj");
            Assert.Equal(
                s_plan.Ranks[0].Tensors.Select(t => t.Name).Order(), built.Targets.Select(t => t.Slice.Name).Order());

            void AssertShared(params string[] names) => Assert.Single(built.Targets
                .Where(t => t.Slice.Name.Contains("layers.1.", StringComparison.Ordinal))
                .Where(t => names.Any(n => t.Slice.Name.Contains(n, StringComparison.Ordinal)))
                .Select(t => t.Destination.Buffer)
                .Distinct());
        });
    }

    [Fact]
    public void AnUnknownStyleIsAnError() => AssertFails(slice => slice with { Style = "diagonal" }, "\"diagonal\"");

    [Fact]
    public void APlanWithOtherHeadsIsAnError() =>
        AssertFails(slice => slice with { Ranges = [new IndexRange(0, 200)] }, "Layer 1: rank 0 has 712 columns");

    [Fact]
    public void AMissingTensorIsAnError() => AssertFails(_ => null, $"no part of \"{Query}\"");

    [Fact]
    public void VocabularyPartsMustFollowOneAnother()
    {
        var moved = s_plan.Ranks[1] with
        {
            Tensors = [.. s_plan.Ranks[1].Tensors.Select(t => t.Name == s_spec.Embedding.WeightName
                ? t with { Ranges = [new IndexRange(112, 240)] }
                : t)],
        };
        var broken = s_plan with { Ranks = [s_plan.Ranks[0], moved] };
        var error = Assert.Throws<PlanException>(() => Build(broken, (_, _) => { }));
        Assert.Contains("do not follow one another", error.Message, StringComparison.Ordinal);
    }

    private static void AssertFails(Func<TensorSlice, TensorSlice?> change, string says)
    {
        var rank = s_plan.Ranks[0];
        var changed = rank with
        {
            Tensors = [.. rank.Tensors.Select(t => t.Name == Query ? change(t) : t).OfType<TensorSlice>()],
        };
        using var device = new CpuDevice("cpu:0", threads: 1);
        var error = Assert.ThrowsAny<Exception>(
            () => Build(s_plan with { Ranks = [changed, s_plan.Ranks[1]] }, (_, _) => { }, device));
        Assert.Contains(says, error.Message, StringComparison.Ordinal);
        Assert.Equal(0, device.MemoryUse().Single(use => use.Purpose == MemoryPurpose.Weights).Current);
    }

    private static void Build(ExecutionPlan plan, Action<BuiltModel, CpuDevice> body, CpuDevice? on = null)
    {
        using var own = on is null ? new CpuDevice("cpu:0", threads: 1) : null;
        var device = on ?? own!;
        using var ops = new CpuOps(device);
        var context = new RankContext(
            0, plan.WorldSize, device, ops, new CpuSamplingOps(), new SingleRankCollective(device));
        using var cache = new PagedKvCache(new KvCacheShape(DType.F32, 1, 1, 0, []), device);
        var memory = new ModuleMemory(cache, context.Device.AllocateTensor(DType.F32, 1, 64, MemoryPurpose.Workspace));
        var built = ModuleBuilder.Build(s_spec, new PlanSlices(s_spec, plan, 0), context, new DenseFormat(), memory);
        using (built.Model)
        {
            body(built, device);
        }
    }
}
