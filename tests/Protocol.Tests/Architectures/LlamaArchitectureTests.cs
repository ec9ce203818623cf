using System.Text.Json.Nodes;
using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.TestKit;
using Xunit;

namespace TensorParallel.Protocol.Tests.Architectures;

public sealed class LlamaArchitectureTests
{
    [Theory]
    [InlineData("llama-3.1-8b", 8_030_261_248)]
    [InlineData("llama-3.1-70b", 70_553_706_496)]
    [InlineData("llama-3.2-1b", 1_235_814_400)]
    public void PublicShapes_HaveTheirPublishedParameterCounts(string name, long parameters)
    {
        var path = Path.Combine(RepositoryPaths.Golden("configs"), $"{name}.json");

        var spec = ArchitectureCatalog.Describe(ModelConfig.Load(path));

        Assert.Equal(parameters, ModelSpecTensors.Of(spec).Sum(tensor => tensor.Elements));
    }

    [Fact]
    public void Keys_AreReadIntoTheSpec()
    {
        var spec = Describe(new()
        {
            ["attention_bias"] = true,
            ["hidden_act"] = "gelu_pytorch_tanh",
            ["rms_norm_eps"] = 0.25,
        });

        Assert.Equal(
            ("llama", 64, 256, 4096),
            (spec.ModelType, spec.HiddenSize, spec.VocabularySize, spec.MaxPositionEmbeddings));
        Assert.Equal(2, spec.Blocks.Count);
        var block = spec.Blocks[1];
        Assert.Equal(new LinearSpec("model.layers.1.self_attn.k_proj", 64, 32, true), block.Attention.Key);
        Assert.Equal(new LinearSpec("model.layers.1.self_attn.o_proj", 128, 64, true), block.Attention.Output);
        Assert.Equal(new LinearSpec("model.layers.1.mlp.down_proj", 176, 64, false), block.Mlp.Down);
        var attention = block.Attention;
        Assert.Equal(
            (8, 2, 16, 4),
            (attention.NumAttentionHeads, attention.NumKeyValueHeads, attention.HeadDim, attention.GroupSize));
        Assert.Equal(0.25f, block.Attention.Scale);
        Assert.Equal(ActivationKind.GeluTanh, block.Mlp.Activation);
        Assert.Equal(new NormSpec("model.layers.1.post_attention_layernorm", 64, 0.25f), block.PostAttentionNorm);
    }

    [Fact]
    public void Defaults_AreTransformers()
    {
        var spec = Describe(new()
        {
            ["head_dim"] = null,
            ["num_key_value_heads"] = null,
            ["max_position_embeddings"] = null,
        });

        var attention = spec.Blocks[0].Attention;
        Assert.Equal((8, 8, 2048), (attention.HeadDim, attention.NumKeyValueHeads, spec.MaxPositionEmbeddings));
        Assert.Equal(1e-6f, spec.FinalNorm.Epsilon);
        Assert.Equal(ActivationKind.Silu, spec.Blocks[0].Mlp.Activation);
        Assert.False(spec.TieWordEmbeddings || attention.Query.HasBias || spec.Blocks[0].Mlp.Up.HasBias);
        Assert.DoesNotContain(spec.BaseTpPlan!, entry => entry.Key == "embed_tokens");
    }

    [Fact]
    public void ATiedModel_GetsItsEmbeddingCutByVocabulary()
    {
        var spec = Describe(new() { ["tie_word_embeddings"] = true });

        Assert.Contains(KeyValuePair.Create("embed_tokens", "embedding_rowwise"), spec.BaseTpPlan!);
        Assert.DoesNotContain(ModelSpecTensors.Of(spec), tensor => tensor.Name == "lm_head.weight");
    }

    [Fact]
    public void Contradictions_AreReportedAllAtOnce()
    {
        var exception = Assert.Throws<CheckpointException>(() => Describe(new()
        {
            ["num_key_value_heads"] = 3,
            ["head_dim"] = 5,
            ["num_hidden_layers"] = 1_000_000,
            ["num_attention_heads"] = 1_000_000_000,
        }));

        Assert.Equal(
            [
                "c.json: num_attention_heads 1000000000 is not a multiple of num_key_value_heads 3.",
                "c.json: head_dim 5 is odd, but rotary embedding turns pairs of dimensions.",
                "c.json: num_hidden_layers 1000000 is above 4096, the most that is supported.",
                "c.json: num_attention_heads · head_dim 5000000000 is above 16777216, the most that is supported.",
            ],
            exception.Message.Split(Environment.NewLine));
    }

    [Theory]
    [InlineData("model_type", "\"gpt2\"", "c.json: the model_type \"gpt2\" is not known here; known are: llama.")]
    [InlineData(
        "hidden_act",
        "\"relu\"",
        "c.json: \"hidden_act\" is \"relu\"; known are: gelu, gelu_new, gelu_pytorch_tanh, silu, swish.")]
    [InlineData("vocab_size", "0", "c.json: \"vocab_size\" is 0, but it must be at least 1.")]
    [InlineData("hidden_size", "null", "c.json: \"hidden_size\" is missing.")]
    [InlineData(
        "quantization_config",
        "{ \"quant_method\": \"gptq\" }",
        "c.json: the weights are quantized (\"gptq\"), which cannot be run yet; use the checkpoint in bfloat16, " +
        "float16 or float32.")]
    public void BadValues_AreOneSentence(string key, string json, string expected) => Assert.Equal(
        expected, Assert.Throws<CheckpointException>(() => Describe(new() { [key] = JsonNode.Parse(json) })).Message);

    [Fact]
    public void AHeadSizeThatDoesNotComeOutEven_MustBeGiven()
    {
        var exception = Assert.Throws<CheckpointException>(
            () => Describe(new() { ["head_dim"] = null, ["hidden_size"] = 65 }));

        Assert.Equal("c.json: hidden_size 65 is not a multiple of num_attention_heads 8, and head_dim is not " +
            "given.", exception.Message);
    }

    [Fact]
    public void EveryArchitectureOfTheAssembly_IsInTheCatalog()
    {
        var types = typeof(IArchitecture).Assembly.GetTypes()
            .Where(type => type.IsClass && type.IsAssignableTo(typeof(IArchitecture)));

        Assert.Equal(types, ArchitectureCatalog.All.Select(architecture => architecture.GetType()));
        Assert.Equal(ArchitectureCatalog.ModelTypes.Count, ArchitectureCatalog.ModelTypes.Distinct().Count());
    }

    private static ModelSpec Describe(JsonObject changes)
    {
        var config = new JsonObject
        {
            ["model_type"] = "llama",
            ["num_hidden_layers"] = 2,
            ["hidden_size"] = 64,
            ["num_attention_heads"] = 8,
            ["num_key_value_heads"] = 2,
            ["head_dim"] = 16,
            ["intermediate_size"] = 176,
            ["vocab_size"] = 256,
            ["max_position_embeddings"] = 4096,
        };
        foreach (var (key, value) in changes)
        {
            config[key] = value?.DeepClone();
        }

        return ArchitectureCatalog.Describe(ModelConfig.Parse(config.ToJsonString(), "c.json"));
    }
}
