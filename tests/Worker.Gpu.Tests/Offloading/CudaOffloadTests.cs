using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;
using TensorParallel.TestKit;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Execution;
using TensorParallel.Worker.Ops.Cuda;
using TensorParallel.Worker.Tests.Execution;
using TensorParallel.Worker.Tests.Offloading;
using Xunit;

namespace TensorParallel.Worker.Gpu.Tests.Offloading;

/// <summary>Weights off a GPU against the plain run; slots are poisoned when they are released.</summary>
public sealed class CudaOffloadTests
{
    private static readonly (OffloadKind, int, int)[] s_portions =
    [
        (OffloadKind.Model, 1, 1), (OffloadKind.Sequential, 1, 1), (OffloadKind.Group, 1, 2), (OffloadKind.Group, 2, 2), (OffloadKind.Group, 1, 3),
    ];

    public static TheoryData<int, bool, DType> Groups { get; } = new()
    {
        { 1, false, DType.F32 }, { 1, false, DType.BF16 }, { 2, false, DType.BF16 }, { 2, true, DType.BF16 }, { 4, false, DType.F32 },
    };

    [Theory]
    [MemberData(nameof(Groups))]
    public void Every_kind_and_place_gives_the_same_logits(int gpus, bool useDeviceMap, DType dtype)
    {
        Gpu.Need(gpus);
        OffloadCases.CheckLogits(
            gpus, useDeviceMap, dtype, DeviceKinds.Cuda, LogitAssert.Tolerance(dtype), OffloadPlans.Placements, s_portions);
    }

    [Theory]
    [InlineData(1, false, 0.5)]
    [InlineData(1, false, 1.0)]
    [InlineData(2, false, 0.5)]
    [InlineData(2, true, 0.5)]
    public void What_the_host_multiplies_is_as_good(int gpus, bool useDeviceMap, double share)
    {
        Gpu.Need(gpus);
        var options = OffloadRun.AllComes with { HostShare = share, ComputeThreads = 4 };
        foreach (var dtype in (DType[])[DType.F32, DType.BF16])
        {
            OffloadCases.CheckLogits(
                gpus, useDeviceMap, dtype, DeviceKinds.Cuda, LogitAssert.Tolerance(dtype), ["host", "mixed"],
                [(OffloadKind.Group, 1, 1), (OffloadKind.Group, 1, 2)], options);
        }
    }

    [Theory]
    [InlineData("llama_bias", 1)]
    [InlineData("llama_tied_hd64", 1)]
    [InlineData("llama_tied_hd64", 2)]
    public void Families_give_the_same_logits(string family, int gpus)
    {
        Gpu.Need(gpus);
        var folder = RepositoryPaths.Golden(family);
        var (plan, spec) = (GroupRun.Plan(folder, gpus, DType.BF16, kind: DeviceKinds.Cuda), OffloadPlans.Spec(folder));
        var steps = OffloadRun.Script(plan.Limits, spec.VocabularySize, decodeSteps: 3);
        var (_, expected) = OffloadRun.Run(folder, plan, steps, wantsLogits: true);
        foreach (var placement in (string[])["host", "disk", "mixed"])
        {
            var offloaded = plan.Offload(spec, OffloadKind.Group, 1, 2, placement);
            var (_, logits) = OffloadRun.Run(folder, offloaded, steps, wantsLogits: true);
            OffloadCases.AssertClose(expected, logits, LogitAssert.Tolerance(DType.BF16), $"{family}, {placement}");
        }
    }

    // float32: the plain run replays graphs, whose rows may be rounded up, and still draws the same tokens.
    [Theory]
    [InlineData(1, false, "host")]
    [InlineData(1, false, "mixed")]
    [InlineData(1, false, "table")]
    [InlineData(2, false, "host")]
    [InlineData(2, true, "mixed")]
    public void Many_steps_ahead_of_their_results_give_the_same_tokens(int gpus, bool useDeviceMap, string placement)
    {
        Gpu.Need(gpus);
        OffloadCases.CheckTokens(
            gpus, useDeviceMap, DType.F32, DeviceKinds.Cuda, placement, [(OffloadKind.Group, 1, 2)], decodeSteps: 80);
    }

    [Fact]
    public void Random_weights_are_the_same_wherever_they_lie()
    {
        Gpu.Need(1);
        using var folder = new TemporaryFolder();
        TinyCheckpoint.Write(folder.Path, OffloadCases.Model);
        var config = folder.File("config.json");
        var (plan, spec) = (GroupRun.Plan(folder.Path, 1, DType.BF16, kind: DeviceKinds.Cuda), OffloadPlans.Spec(folder.Path));
        var steps = OffloadRun.Script(plan.Limits, spec.VocabularySize, decodeSteps: 3);
        OffloadCases.AssertClose(
            Logits(plan), Logits(plan.Offload(spec, OffloadKind.Group, 2, 2, "host")), LogitAssert.Tolerance(DType.BF16), "random");

        float[][] Logits(ExecutionPlan tried)
        {
            var seen = new List<StepLogits>();
            GroupRun.OnEachRank(tried, (context, device) =>
            {
                using var model = WorkerModel.Load(
                    config, tried, context, randomWeights: new CudaMeasuringOps((CudaDevice)device), offload: OffloadRun.AllComes);
                model.Runner.LogitSink = seen.Add;
                Assert.Equal(steps.Count, steps.Select(model.Step).Count());
            });
            return [.. seen.SelectMany(step => step.Rows)];
        }
    }
}
