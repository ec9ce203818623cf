using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;
using TensorParallel.TestKit;
using TensorParallel.Worker.Collectives;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Execution;
using TensorParallel.Worker.Measuring;
using TensorParallel.Worker.Modules;
using TensorParallel.Worker.Ops.Cpu;
using TensorParallel.Worker.Tests.Execution;
using Xunit;

namespace TensorParallel.Worker.Tests.Offloading;

/// <summary>
/// Wherever weights lie and however they come, the logits are the same bits. Devices are poisoned: their copies come as late as they may,
/// and what is released is overwritten at once.
/// </summary>
public class OffloadTests
{
    private static readonly TinyCheckpointOptions s_model = OffloadCases.Model;
    private static readonly (OffloadKind, int, int)[] s_fewer =
    [
        (OffloadKind.Model, 1, 1), (OffloadKind.Sequential, 1, 1), (OffloadKind.Group, 1, 2), (OffloadKind.Group, 2, 3),
        (OffloadKind.Group, 3, 2),
    ];

    public static TheoryData<int, bool, DType> Groups { get; } = new()
    {
        { 1, false, DType.F32 }, { 2, false, DType.BF16 }, { 3, false, DType.F32 }, { 2, true, DType.F32 }, { 3, true, DType.BF16 },
    };

    [Theory]
    [MemberData(nameof(Groups))]
    public void Every_kind_slot_and_place_gives_the_same_logits(int ranks, bool useDeviceMap, DType dtype) =>
        OffloadCases.CheckLogits(ranks, useDeviceMap, dtype, DeviceKinds.Cpu, tolerance: 0, OffloadPlans.Placements,
            ranks == 1 ? Portions() : s_fewer);

    [Theory]
    [InlineData("llama", 1, false)]
    [InlineData("llama_bias", 2, false)]
    [InlineData("llama_tied_hd64", 1, false)]
    [InlineData("llama_tied_hd64", 3, false)]
    [InlineData("llama_tied_hd64", 2, true)]
    public void Families_give_the_same_logits(string family, int ranks, bool useDeviceMap)
    {
        var folder = RepositoryPaths.Golden(family);
        var (plan, spec) = (GroupRun.Plan(folder, ranks, DType.BF16, useDeviceMap), OffloadPlans.Spec(folder));
        var steps = OffloadRun.Script(plan.Limits, spec.VocabularySize, decodeSteps: 3);
        var (_, expected) = OffloadRun.Run(folder, plan, steps, wantsLogits: true);

        // Of a tied weight a rank cannot have the lookups off its device and the head on it.
        foreach (var placement in OffloadPlans.Placements.Where(placement => placement != "table" || !spec.TieWordEmbeddings || useDeviceMap))
        {
            var offloaded = plan.Offload(spec, OffloadKind.Group, 1, 2, placement);
            var (_, logits) = OffloadRun.Run(folder, offloaded, steps, wantsLogits: true);
            AssertSame(expected, logits, $"{family}, {placement}");
        }
    }

    [Theory]
    [InlineData(1, false, "host")]
    [InlineData(1, false, "mixed")]
    [InlineData(2, false, "mixed")]
    [InlineData(2, true, "host")]
    public void Steps_without_logits_and_steps_ahead_give_the_same_tokens(int ranks, bool useDeviceMap, string placement) =>
        OffloadCases.CheckTokens(ranks, useDeviceMap, DType.F32, DeviceKinds.Cpu, placement, Portions(), decodeSteps: 30);

    [Theory]
    [InlineData("host", 2)]
    [InlineData("disk", 2)]
    [InlineData("mixed", 1)]
    public void Copies_that_really_run_beside_the_steps_give_the_same_tokens(string placement, int slots)
    {
        using var folder = new TemporaryFolder();
        TinyCheckpoint.Write(folder.Path, s_model with { Hidden = 256, Intermediate = 1024 });
        var (plan, spec) = (GroupRun.Plan(folder.Path, 1, DType.F32), OffloadPlans.Spec(folder.Path));
        var steps = OffloadRun.Script(plan.Limits, spec.VocabularySize, decodeSteps: 60);
        var expected = Tokens(plan);
        Assert.Equal(123, expected.Length);
        Assert.Equal(expected, Tokens(plan.Offload(spec, OffloadKind.Group, 1, slots, placement)));

        int[] Tokens(ExecutionPlan tried)
        {
            using var device = new CpuDevice("cpu:0", threads: 1);
            using var ops = new CpuOps(device);
            var context = new RankContext(0, 1, device, ops, new CpuSamplingOps(), new SingleRankCollective(device));
            using var model = WorkerModel.Load(folder.Path, tried, context, offload: OffloadRun.AllComes);
            return [.. steps.Select(model.Step).SelectMany(result => result.Tokens).Select(token => token.TokenId)];
        }
    }

    [Fact]
    public void What_is_timed_tells_waits_copies_and_products_of_the_host()
    {
        using var folder = new TemporaryFolder();
        TinyCheckpoint.Write(folder.Path, s_model);
        var (plan, spec) = (GroupRun.Plan(folder.Path, 1, DType.F32), OffloadPlans.Spec(folder.Path));
        plan = plan.Offload(spec, OffloadKind.Group, 1, 2, "host");
        var steps = OffloadRun.Script(plan.Limits, spec.VocabularySize, decodeSteps: 4);
        GroupRun.OnEachRank(plan, (context, device) =>
        {
            using var times = new OperationTimes(new CpuMeasuringOps((CpuDevice)device));
            var timed = context with { Ops = new TimedOps(context.Ops, times), RecordsSteps = false, Times = times };
            using var model = WorkerModel.Load(
                folder.Path, plan, timed, offload: OffloadRun.AllComes with { HostShare = 0.4, ComputeThreads = 1 });
            times.Name(model.Weights);
            foreach (var step in steps)
            {
                times.BeginStep();
                model.Step(step);
                times.EndStep(step.Sequences.Sum(sequence => sequence.Rows));
            }

            // Six groups: of 0.4 of their bytes the host takes two, of which each has four products, or the head's one. Of the others one may
            // have a slot to itself, and then it does not come again.
            var decode = times.Take().Where(figure => figure.Rows == 2)
                .ToDictionary(figure => figure.Name, figure => figure.Count / figure.Steps);
            Assert.InRange(decode["host_product"], 5, 8);
            Assert.InRange(decode["weights_wait"], 3, 4);
            Assert.InRange(decode["weights_copy"], 3, 4);
            Assert.True(decode["q_proj+k_proj+v_proj"] is >= 3 and < 5, string.Join(' ', decode));
            Assert.Contains(model.Notes, note => note.Contains("6 groups", StringComparison.Ordinal));
            Assert.Contains(model.Notes, note => note.StartsWith("bus ", StringComparison.Ordinal));
            Assert.Contains(model.Notes, note => note.StartsWith("host, 1 threads", StringComparison.Ordinal));
        });
    }

    [Theory]
    [InlineData(1, false, "host")]
    [InlineData(3, false, "mixed")]
    [InlineData(2, true, "disk")]
    public void Memory_is_what_the_plan_says(int ranks, bool useDeviceMap, string placement)
    {
        using var folder = new TemporaryFolder();
        TinyCheckpoint.Write(folder.Path, s_model);
        var (plan, spec) = (GroupRun.Plan(folder.Path, ranks, DType.BF16, useDeviceMap), OffloadPlans.Spec(folder.Path));
        var offloaded = plan.Offload(spec, OffloadKind.Group, 2, 2, placement);
        OffloadRun.Run(
            folder.Path, offloaded, OffloadRun.Script(plan.Limits, spec.VocabularySize), wantsLogits: false, after: (rank, device) =>
            {
                Assert.Equal(rank.WeightBytes, Current(device, MemoryPurpose.Weights));
                Assert.Equal(rank.Offload!.StagingBytes, Current(device, MemoryPurpose.Staging));

                // Homes begin every tensor at a multiple of the alignment.
                var host = Current(device, MemoryPurpose.HostWeights);
                Assert.InRange(host, rank.Offload.HostBytes, rank.Offload.HostBytes + (rank.Tensors.Count * OffloadGroups.Alignment));
            });
    }

    [Fact]
    public void A_processor_computes_with_what_lies_in_host_memory_and_needs_no_slots_for_it()
    {
        using var folder = new TemporaryFolder();
        TinyCheckpoint.Write(folder.Path, s_model);
        var (plan, spec) = (GroupRun.Plan(folder.Path, 1, DType.F32), OffloadPlans.Spec(folder.Path));
        var steps = OffloadRun.Script(plan.Limits, spec.VocabularySize, decodeSteps: 3);
        var (_, expected) = OffloadRun.Run(folder.Path, plan, steps, wantsLogits: true);
        var (_, logits) = OffloadRun.Run(
            folder.Path, plan.Offload(spec, OffloadKind.Group, 1, 2, "host"), steps, wantsLogits: true,
            OffloadRun.AllComes with { HostCompute = null }, after: (_, device) =>
            {
                Assert.Equal(0, Current(device, MemoryPurpose.Staging));
                Assert.True(Current(device, MemoryPurpose.HostWeights) > 0);
            });
        AssertSame(expected, logits, "computed at home");
    }

    [Theory]
    [InlineData(1, false, "host", 0.5, false)]
    [InlineData(1, false, "host", 1.0, false)]
    [InlineData(1, false, "host", 1.0, true)]
    [InlineData(1, false, "mixed", 0.7, false)]
    [InlineData(2, false, "host", 0.3, false)]
    [InlineData(2, true, "host", 0.6, false)]
    [InlineData(2, true, "host", 1.0, true)]
    public void What_the_host_multiplies_is_the_same_and_needs_not_come(int ranks, bool useDeviceMap, string placement, double share, bool tied)
    {
        using var folder = new TemporaryFolder();
        TinyCheckpoint.Write(folder.Path, s_model with { AttentionBias = true, MlpBias = true, Tied = tied });
        var (plan, spec) = (GroupRun.Plan(folder.Path, ranks, DType.F32, useDeviceMap), OffloadPlans.Spec(folder.Path));
        var steps = OffloadRun.Script(plan.Limits, spec.VocabularySize, decodeSteps: 6);
        var (_, expected) = OffloadRun.Run(folder.Path, plan, steps, wantsLogits: true);
        foreach (var slots in (int[])[1, 2, 3])
        {
            var offloaded = plan.Offload(spec, OffloadKind.Group, 1, slots, placement);
            var options = OffloadRun.AllComes with { HostShare = share, ComputeThreads = 2 };
            AssertSame(expected, OffloadRun.Run(folder.Path, offloaded, steps, wantsLogits: true, options).Logits, $"{slots} slots");
        }
    }

    [Fact]
    public void A_slot_that_is_too_small_is_an_error()
    {
        using var folder = new TemporaryFolder();
        TinyCheckpoint.Write(folder.Path, s_model);
        var (plan, spec) = (GroupRun.Plan(folder.Path, 1, DType.F32), OffloadPlans.Spec(folder.Path));
        var offloaded = plan.Offload(spec, OffloadKind.Group, 1, 2, "host");
        var rank = offloaded.Ranks[0];
        var small = offloaded with { Ranks = [rank with { Offload = rank.Offload! with { SlotBytes = 1024 } }] };
        GroupRun.OnEachRank(small, (context, device) =>
        {
            var error = Assert.Throws<PlanException>(() => WorkerModel.Load(folder.Path, small, context, offload: OffloadRun.AllComes));
            Assert.Contains("slots of 1,024 bytes are too small for \"model.layers.0\"", error.Message, StringComparison.Ordinal);
            Assert.All(device.MemoryUse(), use => Assert.Equal(0, use.Current));
        });
    }

    [Fact]
    public void Random_weights_are_the_same_wherever_they_lie_but_cannot_lie_on_disk()
    {
        using var folder = new TemporaryFolder();
        TinyCheckpoint.Write(folder.Path, s_model);
        var config = folder.File("config.json");
        var (plan, spec) = (GroupRun.Plan(folder.Path, 1, DType.BF16), OffloadPlans.Spec(folder.Path));
        var steps = OffloadRun.Script(plan.Limits, spec.VocabularySize);
        var expected = Tokens(plan);
        Assert.True(expected.Distinct().Count() > 3, string.Join(' ', expected));
        Assert.Equal(expected, Tokens(plan.Offload(spec, OffloadKind.Group, 2, 2, "host")));
        var onDisk = plan.Offload(spec, OffloadKind.Group, 2, 2, "mixed");
        var error = Assert.Throws<AggregateException>(() => Tokens(onDisk)).InnerException;
        Assert.Contains("random weights are in no file", Assert.IsType<PlanException>(error).Message, StringComparison.Ordinal);

        int[] Tokens(ExecutionPlan tried)
        {
            int[] tokens = [];
            GroupRun.OnEachRank(tried, (context, device) =>
            {
                using var model = WorkerModel.Load(
                    config, tried, context, randomWeights: new CpuMeasuringOps((CpuDevice)device), offload: OffloadRun.AllComes);
                tokens = [.. steps.Select(model.Step).SelectMany(result => result.Tokens).Select(token => token.TokenId)];
            });
            return tokens;
        }
    }

    [Theory]
    [InlineData("disk")]
    [InlineData("ends")]
    public void A_file_that_changes_under_a_running_worker_is_named(string placement)
    {
        using var folder = new TemporaryFolder();
        TinyCheckpoint.Write(folder.Path, s_model);
        var (plan, spec) = (GroupRun.Plan(folder.Path, 1, DType.F32), OffloadPlans.Spec(folder.Path));
        var offloaded = plan.Offload(spec, OffloadKind.Group, 1, 2, placement);
        var steps = OffloadRun.Script(plan.Limits, spec.VocabularySize);
        GroupRun.OnEachRank(offloaded, (context, _) =>
        {
            using var model = WorkerModel.Load(folder.Path, offloaded, context, offload: OffloadRun.AllComes);
            model.Step(steps[0]);
            var file = Grow(folder.Path);
            var error = Assert.ThrowsAny<Exception>(() => steps.Skip(1).Select(model.Step).ToList());
            Assert.IsType<CheckpointException>(error);
            Assert.StartsWith($"Rank 0: {file}: the file has changed", error.Message, StringComparison.Ordinal);
        });
    }

    /// <summary>What is streamed must be of the same state as what was loaded, and as the headers.</summary>
    [Fact]
    public void A_file_that_changes_while_the_rest_is_loaded_is_named()
    {
        using var folder = new TemporaryFolder();
        TinyCheckpoint.Write(folder.Path, s_model);
        var (plan, spec) = (GroupRun.Plan(folder.Path, 1, DType.F32), OffloadPlans.Spec(folder.Path));
        var offloaded = plan.Offload(spec, OffloadKind.Group, 1, 2, "disk");
        var steps = OffloadRun.Script(plan.Limits, spec.VocabularySize);
        GroupRun.OnEachRank(offloaded, (context, _) =>
        {
            string? file = null;
            var error = Assert.ThrowsAny<Exception>(() =>
            {
                using var model = WorkerModel.Load(
                    folder.Path, offloaded, context, progress: _ => file ??= Grow(folder.Path), offload: OffloadRun.AllComes);
                model.Step(steps[0]);
            });
            Assert.NotNull(file);
            Assert.IsType<CheckpointException>(error);
            Assert.StartsWith($"Rank 0: {file}: the file has changed", error.Message, StringComparison.Ordinal);
        });
    }

    private static string Grow(string folder)
    {
        var file = Directory.GetFiles(folder, "*.safetensors").Single();
        using var opened = File.Open(file, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
        opened.Position = opened.Length - 1;
        opened.WriteByte(1);
        opened.WriteByte(1);
        return file;
    }

    private static IEnumerable<(OffloadKind Kind, int Blocks, int Slots)> Portions()
    {
        yield return (OffloadKind.Model, 1, 1);
        yield return (OffloadKind.Sequential, 1, 1);
        foreach (var blocks in (int[])[1, 2, 3])
        {
            foreach (var slots in (int[])[1, 2, 3, 4])
            {
                yield return (OffloadKind.Group, blocks, slots);
            }
        }
    }

    private static void AssertSame(float[][] expected, float[][] actual, string what) =>
        OffloadCases.AssertClose(expected, actual, tolerance: 0, what);

    private static long Current(IDevice device, MemoryPurpose purpose) =>
        device.MemoryUse().Single(use => use.Purpose == purpose).Current;
}
