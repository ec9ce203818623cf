using System.Text.Json.Nodes;
using TensorParallel.Coordinator.Text;
using TensorParallel.TestKit;
using Xunit;

namespace TensorParallel.Coordinator.Tests.Text;

/// <summary>Compares with committed output of the Rust library, rewritten by oracle/pin.js.</summary>
public sealed class PinnedTests
{
    [Fact]
    public void DemoModel()
    {
        var tokenizer = Tokenizer.Load(RepositoryPaths.DemoModel);
        Compare(tokenizer, OracleCase.ReadFile(Path.Combine(TextData.Folder, "demo.jsonl")));
    }

    [Fact]
    [Trait("Category", "Oracle")]
    public void Llama31()
    {
        var folder = Environment.GetEnvironmentVariable("TOKENIZER_ORACLE");
        Assert.SkipUnless(
            folder is { Length: > 0 },
            "TOKENIZER_ORACLE is not set, and the vocabulary is too large to commit: run oracle/run.sh");
        var tokenizer = Tokenizer.Load(Path.Combine(folder!, "llama3_1"));
        Assert.Equal(128_256, tokenizer.VocabularySize);
        Assert.Equal(128_000, tokenizer.BosTokenId);
        Compare(tokenizer, OracleCase.ReadFile(Path.Combine(TextData.Folder, "llama3_1.jsonl")));
    }

    /// <summary>Components and settings that the demo model does not use.</summary>
    [Theory]
    [MemberData(nameof(Variants))]
    public void Variant(string name)
    {
        var variant = ReadVariants().Single(v => (string)v["name"]! == name);
        var json = BaseOf((string)variant["base"]!);
        foreach (var (key, value) in variant["changed"]!.AsObject())
        {
            json[key] = value?.DeepClone();
        }

        foreach (var (key, value) in variant["model"]!.AsObject())
        {
            json["model"]![key] = value?.DeepClone();
        }

        using var folder = new ModelFolder(json);
        Compare(Tokenizer.Load(folder.Path), variant["cases"]!.AsArray().Select(OracleCase.Read));
    }

    public static TheoryData<string> Variants() => [.. ReadVariants().Select(variant => (string)variant["name"]!)];

    private static void Compare(Tokenizer tokenizer, IEnumerable<OracleCase> cases)
    {
        var comparison = new OracleComparison(tokenizer);
        foreach (var expected in cases)
        {
            comparison.Add(expected);
        }

        Assert.True(comparison.Cases > 50, $"Only {comparison.Cases} cases");
        Assert.True(comparison.Differences == 0, comparison.Report);
    }

    private static IEnumerable<JsonNode> ReadVariants() =>
        File.ReadLines(Path.Combine(TextData.Folder, "variants.jsonl")).Select(line => JsonNode.Parse(line)!);

    private static JsonNode BaseOf(string name) => JsonNode.Parse(File.ReadAllText(name == "demo"
        ? Path.Combine(RepositoryPaths.DemoModel, "tokenizer.json")
        : Path.Combine(TextData.Folder, $"{name}.json")))!;
}
