using TensorParallel.Coordinator.Planning;
using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Generation;
using TensorParallel.Protocol.Parallel;
using TensorParallel.TestKit;
using TensorParallel.Worker.Collectives;
using TensorParallel.Worker.Collectives.PeerMemory;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Execution;
using TensorParallel.Worker.Modules;
using TensorParallel.Worker.Native;
using TensorParallel.Worker.Ops.Cuda;
using TensorParallel.Worker.Tests.Execution;
using Xunit;

namespace TensorParallel.Worker.Tests.Cuda;

/// <summary>What a worker allocates is what the plan counts, byte for byte and by purpose.</summary>
[Collection(FakeDriver.OneAtATime)]
public sealed class PlannedMemoryTests
{
    [Theory]
    [InlineData("llama", 16)]
    [InlineData("llama_tied_hd64", 3)]
    [InlineData("llama", 3000)]
    public void OnAGpu(string family, int sequences)
    {
        using var device = FakeDriver.Open();
        var model = RepositoryPaths.Golden(family);
        var spec = ArchitectureCatalog.Describe(Checkpoint.Open(model).Config);
        var plan = Planner.Plan(new PlanRequest(spec, [new PlanDevice("cuda:0")], DType.BF16)
        {
            Limits = new LimitsRequest(MaxSequences: sequences, MaxContextTokens: 64, KvBlocks: 40),
        });
        var rank = plan.Ranks[0];
        using var ops = new CudaOps(device);
        using var sampling = new CudaSamplingOps(device);
        var context = new RankContext(0, 1, device, ops, sampling, new SingleRankCollective(device));
        using (WorkerModel.Load(model, plan, context))
        {
            Assert.Equal(rank.WeightBytes, Current(device, MemoryPurpose.Weights));
            Assert.Equal(rank.KvBytes, Current(device, MemoryPurpose.KvCache));
            Assert.Equal(rank.WorkspaceBytes, Current(device, MemoryPurpose.Workspace));
            Assert.Equal(0, Current(device, MemoryPurpose.Staging));

            // Without the library its room is not taken, but for the one float that stands for it.
            var withoutProducts = CublasLt.UnavailableReason is null ? 0 : DeviceScratch.ProductBytes + DeviceScratch.ProductSumBytes - sizeof(float);
            var counted = DeviceScratch.Bytes("cuda:0", spec.VocabularySize, plan.Limits, worldSize: 1);
            Assert.Equal(counted - withoutProducts, Current(device, MemoryPurpose.Scratch));
            Assert.Equal(counted, rank.RuntimeBytes - DeviceRuntime.LibraryBytes("cuda:0", 1));
        }
    }

    [Theory]
    [InlineData("llama", 2, false)]
    [InlineData("llama_bias", 3, false)]
    [InlineData("llama_tied_hd64", 2, true)]
    public void OnProcessors(string family, int ranks, bool useDeviceMap)
    {
        var model = RepositoryPaths.Golden(family);
        var plan = GroupRun.Plan(model, ranks, DType.BF16, useDeviceMap);
        GroupRun.OnEachRank(plan, (context, device) =>
        {
            using var loaded = WorkerModel.Load(model, plan, context);
            var rank = plan.Ranks[context.Rank];

            Assert.Equal(rank.WeightBytes, Current(device, MemoryPurpose.Weights));
            Assert.Equal(rank.KvBytes, Current(device, MemoryPurpose.KvCache));
            Assert.Equal(rank.WorkspaceBytes, Current(device, MemoryPurpose.Workspace));
            Assert.Equal((0L, 0L), (Current(device, MemoryPurpose.Staging), rank.RuntimeBytes));
        });
    }

    [Fact]
    public void TheMailboxesOfPeerMemory() => Assert.Equal(
        (PeerGroup.MailboxBytes, PeerArguments.MostRanks), (DeviceScratch.MailboxBytes, DeviceScratch.MostPeers));

    [Fact]
    public void AGroupNeedsMoreThanOne()
    {
        var limits = new StepLimits(512, 16, 2048, 16, 128);
        var (one, two, nine) = (Scratch(1), Scratch(2), Scratch(9));

        Assert.InRange(two - one, DeviceScratch.MailboxBytes, DeviceScratch.MailboxBytes + 64);
        Assert.InRange(nine - one, 1, 64);
        Assert.True(DeviceRuntime.LibraryBytes("cuda:0", 2) > DeviceRuntime.LibraryBytes("cuda:0", 1));
        Assert.Equal(0, DeviceRuntime.Bytes("cpu:0", 1000, limits, 2));

        long Scratch(int ranks) => DeviceScratch.Bytes("cuda:0", 1000, limits, ranks);
    }

    private static long Current(IDevice device, MemoryPurpose purpose) =>
        device.MemoryUse().Single(use => use.Purpose == purpose).Current;
}
