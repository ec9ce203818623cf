using TensorParallel.Coordinator.Planning;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Generation;
using TensorParallel.Protocol.Parallel;
using Xunit;

namespace TensorParallel.Coordinator.Tests.Planning;

public sealed class LimitsPlannerTests
{
    private const long GiB = 1L << 30;

    [Fact]
    public void Defaults_HoldSixteenFullContexts_WhereTheyAreSmall()
    {
        var plan = Planner.Plan(PlanCases.OnCpus(PlanCases.Llama(), 2));

        Assert.Equal(new StepLimits(512, 16, 2048, 16, 16 * 128), plan.Limits);

        // 2048 blocks of 16 positions, 2 layers, 1 head of 64 a rank, keys and values, bf16.
        Assert.All(plan.Ranks, rank => Assert.Equal(2048L * 16 * 2 * 64 * 2 * 2, rank.KvBytes));
    }

    [Fact]
    public void UnknownMemory_BoundsTheCacheToOneGibibyteARank()
    {
        var spec = PlanCases.Public("llama-3.1-8b");

        var one = Planner.Plan(PlanCases.OnCpus(spec, 1));
        var four = Planner.Plan(PlanCases.OnCpus(spec, 4));

        Assert.Equal((GiB, 512), (one.Ranks[0].KvBytes, one.Limits.KvBlocks));
        Assert.All(four.Ranks, rank => Assert.Equal(GiB, rank.KvBytes));
        Assert.Equal(2048, four.Limits.KvBlocks);
    }

    [Fact]
    public void OneFullContext_FitsAlways()
    {
        var spec = PlanCases.Public("llama-3.1-70b") with { MaxPositionEmbeddings = 131_072 };

        var plan = Planner.Plan(PlanCases.OnCpus(spec, 1));

        Assert.Equal((8192, 512), (plan.Limits.MaxContextTokens, plan.Limits.KvBlocks));
        Assert.Equal(8192L * 80 * 8 * 128 * 2 * 2, plan.Ranks[0].KvBytes);
    }

    [Fact]
    public void KnownMemory_IsFilled_ButForRuntimeAndAFiftieth_BySmallestRank()
    {
        var spec = PlanCases.Public("llama-3.1-8b") with { MaxPositionEmbeddings = 8192 };
        var request = PlanCases.OnCpus(spec, 1) with { Devices = [new("cuda:0", 20 * GiB), new("cuda:1", 12 * GiB)] };

        var plan = Planner.Plan(request);

        var (small, blockBytes) = (plan.Ranks[1], plan.Ranks[1].KvBytes / plan.Limits.KvBlocks);
        var used = small.WeightBytes + small.WorkspaceBytes + small.KvBytes;
        var usable = (long)(12 * GiB * 0.98) - small.RuntimeBytes;
        Assert.InRange(small.RuntimeBytes, DeviceRuntime.LibraryBytes("cuda:1", 2) + DeviceScratch.MailboxBytes, 2 * GiB);
        Assert.InRange(used, usable - blockBytes - 1, usable + 1);
        Assert.Equal(small.KvBytes, plan.Ranks[0].KvBytes);
    }

    [Fact]
    public void TooLittleMemory_IsSaidOfEveryRank()
    {
        var request = PlanCases.OnCpus(PlanCases.Public("llama-3.1-8b"), 1) with
        {
            Devices = [new("cuda:0", 8 * GiB), new("cuda:1", 6 * GiB)],
        };

        var problems = Assert.Throws<PlanException>(() => Planner.Plan(request)).Problems;

        Assert.Equal(2, problems.Count);
        var runtime = ByteText.Of(DeviceRuntime.Bytes("cuda:1", 128_256 / 2, new StepLimits(512, 16, 8192, 16, 0), 2));
        Assert.Equal(
            "Rank 1 (cuda:1) needs 8.0 GiB for weights, 55.6 MiB for activations and sampling and 128 MiB for the KV " +
            $"cache, but its 6.0 GiB of memory less {runtime} for driver and libraries and a fiftieth are 4.3 GiB: 3.8 GiB are missing; " +
            "use 4 such devices, or give --offload group, which keeps weights in host memory, or use devices with more free memory.",
            problems[1]);
    }

    [Fact]
    public void OtherProcessesMemory_AndAContextThatFits_AreNamed()
    {
        var spec = PlanCases.Public("llama-3.1-8b") with { MaxPositionEmbeddings = 8192 };
        var request = PlanCases.OnCpus(spec, 1) with { Devices = [new("cuda:0", 33 * GiB / 2, 80 * GiB)], DType = DType.BF16 };

        var problem = Assert.Single(Assert.Throws<PlanException>(() => Planner.Plan(request)).Problems);

        Assert.Contains("its 16.5 GiB of memory that are free of 80.0 GiB (other processes hold 63.5 GiB) less ", problem, StringComparison.Ordinal);
        var fits = int.Parse(problem.Split("--max-context ")[1].Split(',')[0], System.Globalization.CultureInfo.InvariantCulture);
        Assert.InRange(fits, 256, 8191);
        Assert.Equal(fits, Planner.Plan(request with { Limits = new(MaxContextTokens: fits) }).Limits.MaxContextTokens);
        Assert.Throws<PlanException>(() => Planner.Plan(request with { Limits = new(MaxContextTokens: fits + 512) }));
    }

    [Fact]
    public void TheNumberOfDevicesThatIsAdvised_IsEnough()
    {
        var spec = PlanCases.Public("llama-3.1-70b");
        var request = PlanCases.OnCpus(spec, 1) with { Devices = [new("cuda:0", 80 * GiB)], DType = DType.BF16 };

        var problem = Assert.Throws<PlanException>(() => Planner.Plan(request)).Message;

        var devices = int.Parse(problem.Split("; use ")[1].Split(' ')[0], System.Globalization.CultureInfo.InvariantCulture);
        var more = request with { Devices = [.. Enumerable.Range(0, devices).Select(i => new PlanDevice($"cuda:{i}", 80 * GiB))] };
        Assert.Equal(devices, Planner.Plan(more).WorldSize);
    }

    [Fact]
    public void AskedSizes_AreTaken()
    {
        var request = PlanCases.OnCpus(PlanCases.Llama(), 2) with { Limits = new(64, 4, 100, 8, 30) };

        Assert.Equal(new StepLimits(64, 4, 100, 8, 30), Planner.Plan(request).Limits);
    }

    [Fact]
    public void ManySequences_RaiseTheTokensOfAStep()
    {
        var request = PlanCases.OnCpus(PlanCases.Llama(), 2) with { Limits = new(MaxSequences: 600) };

        var limits = Planner.Plan(request).Limits;
        Assert.Equal((600, 600), (limits.MaxStepTokens, limits.MaxSequences));
    }

    [Fact]
    public void SizesOutOfRange_AreAllReported()
    {
        var request = PlanCases.OnCpus(PlanCases.Llama(), 2) with { Limits = new(8, 16, 4096, 0, -1) };

        Assert.Equal(
            [
                "8 tokens in a step, of which each sequence may need one, are asked for, but it must be from 16 to " +
                "1048576.",
                "0 positions in a KV block are asked for, but it must be from 1 to 4096.",
                "-1 KV blocks are asked for, but it must be from 1 to 1073741824.",
                "4096 tokens of context (max_position_embeddings is the model's limit) are asked for, but it must be " +
                "from 1 to 2048.",
            ],
            Assert.Throws<PlanException>(() => Planner.Plan(request)).Problems);
    }

    [Theory]
    [InlineData(2048, "cuda:0", 24, "cuda:1", 80)]
    [InlineData(512, "cuda:0", 24, "cuda:1", 8)]
    [InlineData(512, "cuda:0", 24, "cpu:0", 64)]
    public void StepsAreAsLongAsEveryDeviceWantsThem(int rows, string first, int firstGiB, string second, int secondGiB)
    {
        var request = PlanCases.OnCpus(PlanCases.Llama(), 2) with
        {
            Devices = [new(first, firstGiB * GiB), new(second, secondGiB * GiB)],
        };

        Assert.Equal(rows, LimitsPlanner.Sizes(request).MaxStepTokens);
        Assert.Equal(64, LimitsPlanner.Sizes(request with { Limits = new(MaxStepTokens: 64) }).MaxStepTokens);
    }

    [Fact]
    public void TooFewBlocksForOneContext_AreRefused()
    {
        var request = PlanCases.OnCpus(PlanCases.Llama(), 2) with { Limits = new(MaxContextTokens: 100, KvBlocks: 6) };

        Assert.Equal(
            "6 KV blocks are asked for, but one context of 100 tokens takes 7; ask for more blocks or for shorter " +
            "contexts.",
            Assert.Throws<PlanException>(() => Planner.Plan(request)).Message);
    }

    [Theory]
    [InlineData("cpu:0", DType.BF16, 4)]
    [InlineData("cuda:0", DType.BF16, 2)]
    [InlineData("cuda:0", DType.F32, 4)]
    public void Workspace_IsWhatTheWorkerAllocates(string device, DType dtype, int activationBytes)
    {
        var request = PlanCases.OnCpus(PlanCases.Llama(tied: true), 1) with
        {
            Devices = [new(device), new(device[..^1] + "1"), new(device[..^1] + "2")],
            DType = dtype,
            Limits = new(32, 4, 100, 8),
        };
        var plan = Planner.Plan(request);

        // T 32, S 4, H 64; rank 2: 2 of 8 query heads, 1 KV head of 64, 48 of 176 MLP columns, 80 of 256 tokens.
        var activations = 32 * (64 + 64 + (4 * 64) + (2 * 64) + 64 + 96 + 48);
        var integers = 32 + (2 * 32) + (2 * 32) + 5 + (4 * 13) + (3 * 4);
        var singles = (100 * 64) + (4 * 80) + (4 * 256);

        // The sampler: summaries of 561 words (of 3 ranks too), settings of 45, 80 counts, 5 numbers a sequence.
        var sampler = (4 * ((4 * 561) + 45 + 80 + 5)) + 32 + 80 + 256;
        Assert.Equal(
            (activationBytes * (activations + (4 * 64))) + (4 * (integers + singles + sampler)),
            plan.Ranks[2].WorkspaceBytes);
    }

    [Fact]
    public void GatheringStyles_GetABufferForTheirPart()
    {
        var request = PlanCases.OnCpus(PlanCases.Llama(), 2) with
        {
            TpPlan = """
                { "layers.*.self_attn.q_proj": "colwise_rep", "layers.*.mlp.down_proj": "colwise_rep",
                  "lm_head": "replicate" }
                """,
        };
        var plan = Planner.Plan(request);

        var buffers = WorkspaceBuffers.For(request.Spec, plan.Ranks[1], plan.Limits, DType.F32)
            .ToDictionary(buffer => buffer.Name);

        Assert.Equal(new WorkspaceBuffer("gather_part", 512, 256, DType.F32), buffers[WorkspaceBuffers.GatherPart]);
        Assert.Equal(new WorkspaceBuffer("qkv", 512, (8 + 4) * 64, DType.F32), buffers[WorkspaceBuffers.FusedQkv]);
        Assert.Equal(new WorkspaceBuffer("logits", 16, 256, DType.F32), buffers[WorkspaceBuffers.Logits]);
        Assert.False(buffers.ContainsKey(WorkspaceBuffers.WholeLogits));
    }

    [Fact]
    public void AStageThatHoldsTheHeadOnly_NeedsNoAttentionBuffers()
    {
        var request = PlanCases.OnCpus(PlanCases.Llama(layers: 1), 2) with { UseDeviceMap = true };
        var plan = Planner.Plan(request);

        var names = plan.Ranks.Select(rank =>
            WorkspaceBuffers.For(request.Spec, rank, plan.Limits, DType.F32).Select(buffer => buffer.Name));

        Assert.Equal(["step_inputs", "residual", "normed", "gathered_rows", "logits"], names.Last());
        Assert.DoesNotContain("logits", names.First());
        Assert.Contains("token_ids", names.First());
        Assert.Contains("last_tokens", names.First());
    }
}
