using System.Text.Json;
using TensorParallel.Coordinator.Text;
using TensorParallel.Coordinator.Text.Decoders;
using TensorParallel.Coordinator.Text.Normalizers;
using TensorParallel.Coordinator.Text.PostProcessors;
using TensorParallel.Coordinator.Text.PreTokenizers;
using Xunit;

namespace TensorParallel.Coordinator.Tests.Text;

/// <summary>Every implementation of a contract must be readable from a file by its catalog.</summary>
public sealed class CatalogTests
{
    // One object with every key that any component reads.
    private const string Keys = """
        "normalizers": [], "pretokenizers": [], "decoders": [], "processors": [], "prepend": "x", "content": "x",
        "pattern": {"String": "x"}, "behavior": "Isolated", "replacement": "x", "start": 0, "stop": 0,
        "single": [{"Sequence": {"id": "A"}}], "special_tokens": {}
        """;

    [Fact]
    public void Normalizers() => Check<INormalizer>(
        NormalizerCatalog.Read, ["Sequence", "NFC", "NFD", "NFKC", "NFKD", "Replace", "Prepend", "Strip", "Lowercase"]);

    [Fact]
    public void PreTokenizers() => Check<IPreTokenizer>(
        PreTokenizerCatalog.Read, ["Sequence", "Split", "ByteLevel", "Metaspace", "Digits"]);

    [Fact]
    public void PostProcessors() => Check<IPostProcessor>(
        json => PostProcessorCatalog.Read(json, 1), ["Sequence", "ByteLevel", "TemplateProcessing"]);

    [Fact]
    public void Decoders() => Check<IDecoder>(
        DecoderCatalog.Read,
        ["Sequence", "ByteLevel", "Replace", "ByteFallback", "Fuse", "Strip", "Metaspace"],
        typeof(SpacedDecoder)); // what stands for an absent decoder has no name

    private static void Check<T>(Func<TokenizerJson, T> read, string[] kinds, params Type[] unnamed)
        where T : notnull
    {
        var listed = kinds.Select(kind => read(Component(kind)).GetType()).Concat(unnamed).ToHashSet();
        var existing = typeof(T).Assembly.GetTypes().Where(type => type.IsClass && type.IsAssignableTo(typeof(T)));
        Assert.Equal(existing.ToHashSet(), listed);
    }

    private static TokenizerJson Component(string kind)
    {
        var json = JsonDocument.Parse($"{{\"type\": \"{kind}\", {Keys}}}").RootElement;
        return new TokenizerJson("tokenizer.json", "component", json);
    }
}
