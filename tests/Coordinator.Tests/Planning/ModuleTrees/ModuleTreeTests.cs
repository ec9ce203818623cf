using TensorParallel.Coordinator.Planning.Estimates;
using TensorParallel.Coordinator.Planning.ModuleTrees;
using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.TestKit;
using Xunit;

namespace TensorParallel.Coordinator.Tests.Planning.ModuleTrees;

public sealed class ModuleTreeTests
{
    [Fact]
    public void EveryFamily_IsInTheCatalog()
    {
        var families = typeof(IModuleFamily).Assembly.GetTypes()
            .Where(type => type is { IsClass: true, IsAbstract: false } && type.IsAssignableTo(typeof(IModuleFamily)));

        Assert.Equal(
            families.Select(type => type.Name).Order(), ModuleTreeCatalog.All.Select(family => family.GetType().Name).Order());
        var types = ModuleTreeCatalog.All.SelectMany(family => family.ModelTypes).ToList();
        Assert.Equal(types.Count, types.Distinct().Count());
    }

    [Theory]
    [InlineData("llama-3.1-8b")]
    [InlineData("llama-3.1-70b")]
    [InlineData("llama-3.2-1b")]
    public void AComputableFamilysParameters_AreThoseOfItsArchitecture(string name)
    {
        var config = ModelConfig.Load(Path.Combine(RepositoryPaths.Golden("configs"), $"{name}.json"));
        var tree = ModuleTreeCatalog.Describe(config);

        Assert.Equal(
            ModelSpecTensors.Of(ArchitectureCatalog.Describe(config))
                .Select(tensor => $"{tensor.Name} [{string.Join(", ", tensor.Shape)}]").Order(),
            tree.OwnTensors().Where(tensor => !tensor.Value.IsBuffer)
                .Select(tensor => $"{tensor.Key} [{string.Join(", ", tensor.Value.Shape)}]").Order());
    }

    // Parameters as the published models count them.
    [Theory]
    [InlineData("llama-3.1-8b", 8_030_261_248)]
    [InlineData("llama-3.1-70b", 70_553_706_496)]
    [InlineData("llama-3.2-1b", 1_235_814_400)]
    [InlineData("qwen2.5-7b", 7_615_616_512)]
    [InlineData("qwen3-4b", 4_022_468_096)]
    [InlineData("gemma2-9b", 9_241_705_984)]
    [InlineData("mixtral-8x7b", 46_702_792_704)]
    public void PublishedModels_HaveTheirNumberOfParameters(string name, long parameters) => Assert.Equal(
        parameters,
        EstimateCases.Tree(name).OwnTensors().Where(tensor => !tensor.Value.IsBuffer).Sum(tensor => tensor.Value.Elements));

    [Fact]
    public void Sizes_RollUp_AndCountATiedTableOnce()
    {
        var tree = EstimateCases.Tree("llama-3.2-1b");
        var sizes = new ModuleSizes(tree, DType.BF16);

        Assert.Equal(0, sizes["lm_head"]);
        Assert.Equal(128_256L * 2048 * 2, sizes["model.embed_tokens"]);
        Assert.Equal(sizes.Total, sizes["model"]);
        Assert.Equal(16 * sizes["model.layers.15"], sizes["model.layers"]);

        // Two buffers of 32 frequencies, in float32 where the model is.
        Assert.Equal(2 * 32 * 2, sizes["model.rotary_emb"]);
        Assert.Equal(2 * 32 * 4, new ModuleSizes(tree, DType.F32)["model.rotary_emb"]);
    }

    [Theory]
    [InlineData("\"num_hidden_layers\": 100000", "num_hidden_layers 100000 is above 4096")]
    [InlineData("\"num_key_value_heads\": 3", "num_attention_heads 4 is not a multiple of num_key_value_heads 3")]
    [InlineData("\"head_dim\": 4096, \"num_attention_heads\": 8192", "num_attention_heads · head_dim")]
    public void HostileNumbers_AreRefused(string replacement, string expected)
    {
        var values = new Dictionary<string, string>
        {
            ["model_type"] = "\"qwen3\"",
            ["hidden_size"] = "64",
            ["intermediate_size"] = "128",
            ["vocab_size"] = "256",
            ["num_hidden_layers"] = "2",
            ["num_attention_heads"] = "4",
        };
        foreach (var pair in replacement.Split(", "))
        {
            var (key, value) = (pair.Split(": ")[0].Trim('"'), pair.Split(": ")[1]);
            values[key] = value;
        }

        var json = "{" + string.Join(", ", values.Select(pair => $"\"{pair.Key}\": {pair.Value}")) + "}";
        var exception = Assert.Throws<CheckpointException>(() => ModuleTreeCatalog.Describe(ModelConfig.Parse(json)));
        Assert.Contains(expected, exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void AnUnknownFamily_IsNamed()
    {
        var exception = Assert.Throws<CheckpointException>(
            () => ModuleTreeCatalog.Describe(ModelConfig.Parse("""{ "model_type": "x\ny" }""")));

        Assert.Contains("known are: llama, qwen2, qwen3, gemma2, mixtral.", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void ExpertsAreCutLikeAnMlp()
    {
        var tree = EstimateCases.Tree("mixtral-8x7b");

        var ranks = TensorParallelWeights.Of(tree, DType.BF16, 2);

        // The router, 65 norms and the embedding stand on both; all else is halved.
        var whole = (32L * 8 * 4096) + (65 * 4096) + (32_000L * 4096);
        Assert.Equal([(46_702_792_704 - whole) + (2 * whole), (46_702_792_704 - whole) + (2 * whole)], ranks);
    }
}
