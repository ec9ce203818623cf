using TensorParallel.Coordinator.Planning;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.TestKit;
using Xunit;

namespace TensorParallel.Coordinator.Tests.Planning;

public sealed class PlanModelTests
{
    [Fact]
    public void AFolder_IsOpenedWithItsTensors()
    {
        var model = PlanModel.Open(RepositoryPaths.DemoModel + Path.DirectorySeparatorChar, "auto");

        Assert.True(model.CanRun);
        Assert.Equal(("demo-model", DType.BF16, 8), (model.Name, model.DType, model.Spec.Blocks.Count));
        Assert.True(model.Tensors!.ContainsKey("model.embed_tokens.weight"));
    }

    [Fact]
    public void ABareConfig_CanBePlannedButNotRun()
    {
        var model = PlanModel.Open(Path.Combine(RepositoryPaths.Golden("configs"), "llama-3.1-8b.json"), "float16");

        Assert.False(model.CanRun);
        Assert.Equal(DType.F16, model.DType);
        var plan = Planner.Plan(new(model.Spec, PlanDevice.Cpus(1), model.DType));
        Assert.Equal(16_060_522_496, plan.Ranks[0].WeightBytes);
    }

    [Fact]
    public void AFolderWithoutWeights_CanBePlanned()
    {
        using var folder = new TemporaryFolder();
        File.Copy(Path.Combine(RepositoryPaths.Golden("configs"), "llama-3.2-1b.json"), folder.File("config.json"));

        Assert.False(PlanModel.Open(folder.Path, "auto").CanRun);
    }

    [Fact]
    public void AFolderThatLacksTensors_IsRefused()
    {
        using var folder = new TemporaryFolder();
        TinyCheckpoint.Write(folder.Path);
        SafetensorsWriter.Write(folder.File("model.safetensors"), [new("x", DType.F32, [1], new byte[4])]);

        Assert.Throws<CheckpointException>(() => PlanModel.Open(folder.Path, "auto"));
    }

    [Fact]
    public void NoSuchFolder_IsOneSentence()
    {
        var exception = Assert.Throws<CheckpointException>(() => PlanModel.Open("/no/such/folder", "auto"));

        Assert.Equal("/no/such/folder: no such model folder.", exception.Message);
    }
}
