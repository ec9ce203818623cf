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
    public void TinyCheckpoint_Opens()
    {
        var checkpoint = Checkpoint.Open(TinyCheckpoint.Write(_folder.Path));

        Assert.Equal(21, checkpoint.Tensors.Count);
        checkpoint.Require("lm_head.weight", 256, 64);
        checkpoint.Require("model.layers.1.self_attn.k_proj.weight", 64, 64);
    }
}
