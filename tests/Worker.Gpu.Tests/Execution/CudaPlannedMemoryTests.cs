using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;
using TensorParallel.TestKit;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Execution;
using TensorParallel.Worker.Tests.Execution;
using Xunit;

namespace TensorParallel.Worker.Gpu.Tests.Execution;

/// <summary>What a worker allocates on a GPU is what the plan counts, before steps and after them.</summary>
public sealed class CudaPlannedMemoryTests
{
    [Theory]
    [InlineData("llama", DType.BF16)]
    [InlineData("llama_bias", DType.F32)]
    public void NothingIsAllocatedThatThePlanDoesNotCount(string family, DType dtype)
    {
        Gpu.Need(1);
        var model = RepositoryPaths.Golden(family);
        var spec = ArchitectureCatalog.Describe(Checkpoint.Open(model).Config);
        var plan = GroupRun.Plan(model, 1, dtype, kind: DeviceKinds.Cuda);
        var rank = plan.Ranks[0];
        var scratch = DeviceScratch.Bytes(rank.Device, spec.VocabularySize, plan.Limits, worldSize: 1);
        GroupRun.OnEachRank(plan, (context, device) =>
        {
            using var loaded = WorkerModel.Load(model, plan, context);
            AssertCounted(device);
            var script = new StepScript(plan.Limits);
            script.Add(script.Prompt(0, [2, 3, 4, 5, 6]));
            for (var step = 0; step < 4; step++)
            {
                script.Add(script.Continue(0));
            }

            foreach (var step in script.Steps)
            {
                loaded.Step(step);
            }

            AssertCounted(device);
        });

        void AssertCounted(IDevice device)
        {
            var uses = device.MemoryUse().ToDictionary(use => use.Purpose, use => use.Current);
            Assert.Equal(
                (rank.WeightBytes, rank.KvBytes, rank.WorkspaceBytes, scratch),
                (uses[MemoryPurpose.Weights], uses[MemoryPurpose.KvCache], uses[MemoryPurpose.Workspace], uses[MemoryPurpose.Scratch]));
        }
    }
}
