using TensorParallel.Protocol.Checkpoints;
using TensorParallel.TestKit;
using Xunit;

namespace TensorParallel.Protocol.Tests.Checkpoints;

public sealed class CheckpointTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void DemoModel_Opens()
    {
        var checkpoint = Checkpoint.Open(RepositoryPaths.DemoModel);

        Assert.Equal("llama", checkpoint.Config.ModelType);
        Assert.Equal(["LlamaForCausalLM"], checkpoint.Config.Architectures);
        Assert.Equal(RepositoryPaths.DemoModel, checkpoint.Folder);
        Assert.True(checkpoint.HasWeights);
        Assert.Equal([1], checkpoint.GenerationConfig.EosTokenIds);
        var embedding = checkpoint.Require("model.embed_tokens.weight", 4096, 256);
        Assert.Equal(DType.BF16, embedding.DType);
        Assert.Equal(4096 * 256 * 2, embedding.Bytes);
        Assert.Equal(4096 * 256, embedding.ElementCount);
        Assert.Equal(checkpoint.Tensors.Values.Sum(t => t.ElementCount) * 2, checkpoint.TotalBytes);
    }

    [Theory]
    [InlineData("llama", 21)]
    [InlineData("llama_bias", 35)]
    [InlineData("llama_tied_hd64", 20)]
    public void Golden_Opens(string family, int tensors)
    {
        var checkpoint = Checkpoint.Open(RepositoryPaths.Golden(family));

        Assert.Equal(tensors, checkpoint.Tensors.Count);
        Assert.Equal(DType.BF16, DTypeResolution.Resolve(DTypeResolution.Auto, checkpoint));
    }

    [Fact]
    public void Open_NeedsAFolderWithAConfiguration()
    {
        var nowhere = _folder.File("nowhere");

        Sentence.AssertThrown(() => Checkpoint.Open(nowhere), nowhere, "no such model folder");
        Sentence.AssertThrown(() => Checkpoint.Open(_folder.Path), _folder.Path, "it has no config.json");
    }

    [Fact]
    public void Open_WithoutWeights_IsEnoughForSizes()
    {
        File.WriteAllText(_folder.File("config.json"), """{"model_type": "llama"}""");

        var checkpoint = Checkpoint.Open(_folder.Path);

        Assert.False(checkpoint.HasWeights);
        Assert.Empty(checkpoint.Tensors);
        Assert.Equal(0, checkpoint.TotalBytes);
        Sentence.AssertThrown(
            () => checkpoint.Require("w", 1), _folder.Path, "tensor \"w\"", "neither model.safetensors nor");
    }

    [Fact]
    public void Open_PrefersTheSingleFile()
    {
        TinyCheckpoint.Write(_folder.Path);
        File.WriteAllText(_folder.File(Checkpoint.IndexFileName), "not even JSON");

        Assert.Equal(21, Checkpoint.Open(_folder.Path).Tensors.Count);
    }

    [Fact]
    public void Open_ReportsABrokenConfiguration()
    {
        TinyCheckpoint.Write(_folder.Path);
        File.WriteAllText(_folder.File("config.json"), "{");

        Sentence.AssertThrown(() => Checkpoint.Open(_folder.Path), _folder.File("config.json"), "not valid JSON");
    }

    [Fact]
    public void Require_NamesTensorFileAndBothShapes()
    {
        var checkpoint = Checkpoint.Open(TinyCheckpoint.Write(_folder.Path, new() { Shards = 3 }));

        var tensor = checkpoint.Require("lm_head.weight", 256, 64);
        Assert.Equal(_folder.File("model-00003-of-00003.safetensors"), tensor.File);
        Sentence.AssertThrown(
            () => checkpoint.Require("lm_head.weight", 256, 65),
            tensor.File,
            "tensor \"lm_head.weight\" has shape [256, 64]",
            "[256, 65]");
        Sentence.AssertThrown(() => checkpoint.Require("lm_head.weight", 256 * 64), "[256, 64]", "[16384]");
        Sentence.AssertThrown(() => checkpoint.Require("lm_head.weight"), "[256, 64]", "asks for []");
        Sentence.AssertThrown(
            () => checkpoint.Require("lm_head.bias", 256),
            _folder.File(Checkpoint.IndexFileName),
            "tensor \"lm_head.bias\" of shape [256] is missing");
    }
}
