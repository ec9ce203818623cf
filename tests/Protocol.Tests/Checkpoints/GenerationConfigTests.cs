using TensorParallel.Protocol.Checkpoints;
using TensorParallel.TestKit;
using Xunit;

namespace TensorParallel.Protocol.Tests.Checkpoints;

public sealed class GenerationConfigTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void MissingFile_FallsBackToTheConfiguration()
    {
        var loaded = Load("""{"eos_token_id": 2, "bos_token_id": 1, "pad_token_id": 0}""", null);

        Assert.Equal([2], loaded.EosTokenIds);
        Assert.Equal(1, loaded.BosTokenId);
        Assert.Equal(0, loaded.PadTokenId);
        Assert.Null(loaded.Temperature);
        Assert.Null(loaded.MaxNewTokens);
    }

    [Theory]
    [InlineData("""{"eos_token_id": 7}""", "7")]
    [InlineData("""{"eos_token_id": [7, 8]}""", "7,8")]
    [InlineData("""{"eos_token_id": null}""", "2")]
    [InlineData("{}", "2")]
    public void EosTokenIds_OverrideTheConfiguration(string generation, string ids) =>
        Assert.Equal(ids, string.Join(',', Load("""{"eos_token_id": 2}""", generation).EosTokenIds));

    [Fact]
    public void EveryKey_IsRead()
    {
        var loaded = Load("{}", """
            {"bos_token_id": 128000, "pad_token_id": 3, "do_sample": true, "temperature": 0.6, "top_k": 50,
             "top_p": 0.9, "min_p": 0.05, "repetition_penalty": 1.1, "max_new_tokens": 256,
             "min_new_tokens": 4, "max_length": 4096,
             "transformers_version": "5.17.0"}
            """);

        Assert.Empty(loaded.EosTokenIds);
        Assert.Equal((128000, 3), (loaded.BosTokenId!.Value, loaded.PadTokenId!.Value));
        Assert.True(loaded.DoSample);
        Assert.Equal((0.6, 50, 0.9), (loaded.Temperature!.Value, loaded.TopK!.Value, loaded.TopP!.Value));
        Assert.Equal((0.05, 1.1), (loaded.MinP!.Value, loaded.RepetitionPenalty!.Value));
        Assert.Equal((256, 4, 4096), (loaded.MaxNewTokens!.Value, loaded.MinNewTokens!.Value, loaded.MaxLength!.Value));
    }

    [Theory]
    [InlineData("""{"temperature": "hot"}""", "\"temperature\" holds \"\"hot\"\"")]
    [InlineData("""{"top_k": 1.5}""", "\"top_k\" holds \"1.5\"")]
    [InlineData("""{"do_sample": 1}""", "\"do_sample\" holds \"1\"")]
    [InlineData("""{"eos_token_id": "x"}""", "\"eos_token_id\" holds")]
    [InlineData("{", "not valid JSON")]
    public void BrokenFile_IsNamed(string generation, string complaint) =>
        Sentence.AssertThrown(() => Load("{}", generation), _folder.File(GenerationConfig.FileName), complaint);

    private GenerationConfig Load(string config, string? generation)
    {
        if (generation is not null)
        {
            File.WriteAllText(_folder.File(GenerationConfig.FileName), generation);
        }

        return GenerationConfig.Load(_folder.Path, ModelConfig.Parse(config));
    }
}
