using TensorParallel.Protocol.Checkpoints;
using TensorParallel.TestKit;
using Xunit;

namespace TensorParallel.Protocol.Tests.Checkpoints;

public sealed class ModelConfigTests
{
    private const string Source = "/models/x/config.json";

    [Fact]
    public void Load_ReadsABareFile()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.File("config.json"), """{"model_type": "llama"}""");

        var config = ModelConfig.Load(folder.File("config.json"));

        Assert.Equal("llama", config.ModelType);
        Assert.Equal(folder.File("config.json"), config.Path);
        Sentence.AssertThrown(() => ModelConfig.Load(folder.File("no.json")), folder.File("no.json"), "no such file");
        Sentence.AssertThrown(() => ModelConfig.Load(folder.Path), folder.Path, "a folder, not a file");
    }

    [Fact]
    public void Values_AreTyped()
    {
        var config = Parse("""
            {"i": 7, "d": 1e-5, "b": true, "s": "silu", "list": ["x", "y"], "none": null, "whole": 3, "max": 2147483647}
            """);

        Assert.Equal(7, config.Int("i"));
        Assert.Equal(int.MaxValue, config.PositiveInt("max"));
        Assert.Equal(1e-5, config.PositiveDouble("d"));
        Assert.Equal(3.0, config.Double("whole"));
        Assert.True(config.BoolOr("b", false));
        Assert.Equal("silu", config.String("s"));
        Assert.Equal(["x", "y"], config.Strings("list"));
        Assert.True(config.Has("i"));
    }

    [Theory]
    [InlineData("none")]
    [InlineData("absent")]
    public void AbsentAndNull_GiveTheDefault(string key)
    {
        var config = Parse("""{"none": null}""");

        Assert.False(config.Has(key));
        Assert.Equal(4, config.IntOr(key, 4));
        Assert.Equal(4, config.PositiveIntOr(key, 4));
        Assert.Equal(0.5, config.DoubleOr(key, 0.5));
        Assert.Equal(0.5, config.PositiveDoubleOr(key, 0.5));
        Assert.True(config.BoolOr(key, true));
        Assert.Equal("d", config.StringOr(key, "d"));
        Assert.Empty(config.Strings(key));
        Assert.Null(config.SectionOrNull(key));
        Action[] required =
        [
            () => config.Int(key), () => config.PositiveInt(key), () => config.Double(key),
            () => config.PositiveDouble(key), () => config.String(key), () => config.Section(key),
        ];
        Assert.All(required, read => Sentence.AssertThrown(read, Source, $"\"{key}\" is missing"));
    }

    [Theory]
    [InlineData("2.5")]
    [InlineData("2147483648")]
    [InlineData("-2147483649")]
    [InlineData("1e99")]
    [InlineData("\"7\"")]
    [InlineData("true")]
    [InlineData("[7]")]
    public void Int_RefusesWhatIsNotOne(string value)
    {
        var config = Parse($$"""{"k": {{value}} }""");

        Action[] reads = [() => config.Int("k"), () => config.IntOr("k", 1), () => config.PositiveIntOr("k", 1)];
        Assert.All(reads, read => Sentence.AssertThrown(read, Source, "\"k\" holds", value, "not a whole number"));
    }

    [Theory]
    [InlineData("0")]
    [InlineData("-1")]
    public void PositiveInt_RefusesZeroAndLess(string value)
    {
        var config = Parse($$"""{"hidden_size": {{value}} }""");

        Action[] reads = [() => config.PositiveInt("hidden_size"), () => config.PositiveIntOr("hidden_size", 1)];
        Assert.All(reads, read => Sentence.AssertThrown(read, Source, $"\"hidden_size\" is {value}, but"));
    }

    [Theory]
    [InlineData("0.0", "is 0, but")]
    [InlineData("-0.5", "is -0.5, but")]
    [InlineData("1e999", "not a finite number")]
    [InlineData("\"1\"", "not a finite number")]
    public void PositiveDouble_RefusesTheRest(string value, string complaint)
    {
        var config = Parse($$"""{"rms_norm_eps": {{value}} }""");

        Action[] reads =
            [() => config.PositiveDouble("rms_norm_eps"), () => config.PositiveDoubleOr("rms_norm_eps", 1)];
        Assert.All(reads, read => Sentence.AssertThrown(read, Source, "\"rms_norm_eps\"", complaint));
    }

    [Fact]
    public void OtherKinds_AreRefused()
    {
        var config = Parse("""{"b": 1, "s": 1, "list": ["x", 1], "o": [], "l": "x"}""");

        Sentence.AssertThrown(() => config.BoolOr("b", false), Source, "\"b\" holds \"1\", which is not true or false");
        Sentence.AssertThrown(() => config.StringOr("s", ""), Source, "\"s\" holds \"1\", which is not a string");
        Sentence.AssertThrown(() => config.Strings("list"), Source, "\"list\" holds \"1\", which is not a string");
        Sentence.AssertThrown(() => config.Strings("l"), Source, "\"l\" holds", "not a list of strings");
        Sentence.AssertThrown(() => config.SectionOrNull("o"), Source, "\"o\" holds \"[]\", which is not an object");
    }

    [Fact]
    public void Section_NamesTheWholeKey()
    {
        var rope = Parse("""{"text_config": {"rope_parameters": {"rope_type": "llama3", "factor": 0}}}""")
            .Section("text_config").Section("rope_parameters");

        Assert.Equal("llama3", rope.String("rope_type"));
        Sentence.AssertThrown(
            () => rope.PositiveDouble("factor"), Source, "\"text_config.rope_parameters.factor\" is 0");
        Sentence.AssertThrown(() => rope.Int("low"), Source, "\"text_config.rope_parameters.low\" is missing");
    }

    [Theory]
    [InlineData("{}", "")]
    [InlineData("""{"eos_token_id": null}""", "")]
    [InlineData("""{"eos_token_id": -1}""", "")]
    [InlineData("""{"eos_token_id": 2}""", "2")]
    [InlineData("""{"eos_token_id": [128001, 128008]}""", "128001,128008")]
    public void EosTokenIds_TakesOneOrMany(string json, string ids) =>
        Assert.Equal(ids, string.Join(',', Parse(json).EosTokenIds));

    [Theory]
    [InlineData("""{"eos_token_id": "</s>"}""")]
    [InlineData("""{"eos_token_id": [1, "</s>"]}""")]
    [InlineData("""{"eos_token_id": [1, -1]}""")]
    [InlineData("""{"eos_token_id": [4294967296]}""")]
    public void EosTokenIds_RefusesTheRest(string json) =>
        Sentence.AssertThrown(() => _ = Parse(json).EosTokenIds, Source, "\"eos_token_id\" holds");

    [Fact]
    public void SharedKeys_HaveTheirOldAndNewNames()
    {
        Assert.Equal("bfloat16", Parse("""{"dtype": "bfloat16", "torch_dtype": "float16"}""").DTypeName);
        Assert.Equal("float16", Parse("""{"torch_dtype": "float16"}""").DTypeName);
        Assert.Null(Parse("{}").DTypeName);
        Assert.Empty(Parse("{}").Architectures);
        Assert.Equal(0, Parse("""{"bos_token_id": 0, "pad_token_id": -1}""").BosTokenId);
        Assert.Null(Parse("""{"bos_token_id": 0, "pad_token_id": -1}""").PadTokenId);
        Sentence.AssertThrown(() => _ = Parse("{}").ModelType, Source, "\"model_type\" is missing");
    }

    [Fact]
    public void QuantMethod_ComesFromTheSection()
    {
        Assert.Null(Parse("{}").QuantMethod);
        Assert.Null(Parse("""{"quantization_config": null}""").QuantMethod);
        Assert.Equal("gptq", Parse("""{"quantization_config": {"quant_method": "gptq"}}""").QuantMethod);
        Assert.Equal("bitsandbytes", Parse("""{"quantization_config": {"load_in_4bit": true}}""").QuantMethod);
        Sentence.AssertThrown(
            () => _ = Parse("""{"quantization_config": {"load_in_4bit": false}}""").QuantMethod,
            Source,
            "\"quantization_config.quant_method\" is missing");
    }

    [Theory]
    [InlineData("")]
    [InlineData("[1]")]
    [InlineData("{\"a\": 1,}")]
    [InlineData("{\"a\": 1, \"a\": 2}")]
    [InlineData("{\"a\": NaN}")]
    [InlineData("{\"a\": \"\\udc00\"}")]
    public void Parse_RefusesWhatIsNotOneStrictObject(string json) =>
        Sentence.AssertThrown(() => Parse(json), Source);

    private static ModelConfig Parse(string json) => ModelConfig.Parse(json, Source);
}
