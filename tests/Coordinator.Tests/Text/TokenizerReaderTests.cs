using System.Text.Json.Nodes;
using TensorParallel.Coordinator.Text;
using Xunit;

namespace TensorParallel.Coordinator.Tests.Text;

public sealed class TokenizerReaderTests
{
    // What a file must at least have: three one-letter tokens and two merges.
    private const string Minimal = """
        {"model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "c": 2, "ab": 3, "abc": 4},
                   "merges": ["a b", ["ab", "c"]]}}
        """;

    [Fact]
    public void MinimalFile()
    {
        using var folder = new ModelFolder(Minimal);
        var tokenizer = Tokenizer.Load(folder.Path);
        Assert.Equal(5, tokenizer.VocabularySize);
        Assert.Null(tokenizer.BosTokenId);
        Assert.Equal([4, 3, 0], tokenizer.Encode("abcab?a"));
        Assert.Equal("abc ab", tokenizer.Decode([4, 3]));
        Assert.Empty(tokenizer.Encode(""));
        Assert.Equal("", tokenizer.Decode([]));
        Assert.Equal("", tokenizer.Decode([-1, 5, int.MaxValue]));
    }

    [Theory]
    [InlineData("""{"bos_token": "ab"}""", 3)]
    [InlineData("""{"bos_token": {"content": "c", "lstrip": false}}""", 2)]
    [InlineData("""{"bos_token": null}""", null)]
    [InlineData("""{"bos_token": "zzz"}""", null)]
    [InlineData("{}", null)]
    public void BosToken(string config, int? expected)
    {
        using var folder = new ModelFolder(Minimal, config);
        Assert.Equal(expected, Tokenizer.Load(folder.Path).BosTokenId);
    }

    [Theory]
    [InlineData("model.type", "\"WordPiece\"",
        "model has the type 'WordPiece', which is not supported (supported: BPE)")]
    [InlineData("model.type", "\"Unigram\"", "'Unigram'")]
    [InlineData("model.type", "7", "model.type must be a string, but is 7")]
    [InlineData("model", "null", "model is missing")]
    [InlineData("model.vocab", "[]", "model.vocab must be an object")]
    [InlineData("model.vocab.b", "-1", "model.vocab['b'] must be a whole number in 0..4194303, but is")]
    [InlineData("model.vocab.b", "1e9", "model.vocab['b'] must be a whole number in 0..4194303, but is")]
    [InlineData("model.vocab.b", "0", "gives the id 0 to both")]
    [InlineData("model.merges", "[\"a  b\"]", "model.merges[0] must be two tokens")]
    [InlineData("model.merges", "[\"ab\"]", "model.merges[0] must be two tokens")]
    [InlineData("model.merges", "[[\"a\"]]", "model.merges[0] must have two parts")]
    [InlineData("model.merges", "[\"a b\", \"b c\"]", "model.merges[1] merges 'b' and 'c'")]
    [InlineData("model.merges", "3", "model.merges must be an array")]
    [InlineData("model.unk_token", "\"?\"", "model.unk_token is '?', which is not in model.vocab")]
    [InlineData("model.continuing_subword_prefix", "\"##\"", "model.continuing_subword_prefix is not supported")]
    [InlineData("model.byte_fallback", "1", "model.byte_fallback must be true or false")]
    [InlineData("normalizer", """{"type": "Precompiled"}""", "normalizer has the type 'Precompiled'")]
    [InlineData("normalizer", """{"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Nmt"}]}""",
        "normalizer.normalizers[1] has the type 'Nmt'")]
    [InlineData("normalizer", """{"type": "Replace", "pattern": {"String": ""}, "content": ""}""",
        "normalizer.pattern.String must not be empty")]
    [InlineData("pre_tokenizer", """{"type": "Whitespace"}""", "pre_tokenizer has the type 'Whitespace'")]
    [InlineData("pre_tokenizer", """{"type": "Split", "pattern": {"Regex": "("}, "behavior": "Isolated"}""",
        "pre_tokenizer.pattern.Regex is a regular expression that cannot be used")]
    [InlineData("pre_tokenizer", """{"type": "Split", "pattern": {"Regex": "a"}, "behavior": "1"}""",
        "pre_tokenizer.behavior is '1', but must be one of Removed,")]
    [InlineData("pre_tokenizer", """{"type": "Metaspace", "replacement": "__"}""",
        "pre_tokenizer.replacement must be one character")]
    [InlineData("post_processor", """{"type": "BertProcessing"}""", "post_processor has the type 'BertProcessing'")]
    [InlineData("post_processor", """
        {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "x"}}, {"Sequence": {"id": "A"}}],
         "special_tokens": {"x": {"ids": [5]}}}
        """, "post_processor.special_tokens.x.ids[0] must be a whole number in 0..4, but is 5")]
    [InlineData("post_processor", """{"type": "TemplateProcessing", "single": []}""", "has no piece for the text")]
    [InlineData("decoder", """{"type": "WordPiece"}""", "decoder has the type 'WordPiece'")]
    [InlineData("decoder", """{"type": "Strip", "content": " ", "start": -1, "stop": 0}""", "decoder.start must be")]
    [InlineData("added_tokens", """[{"id": 0}]""", "added_tokens[0].content is missing")]
    public void Refuses(string key, string value, string complaint)
    {
        var json = JsonNode.Parse(Minimal)!;
        var path = key.Split('.');
        var parent = path[..^1].Aggregate(json, (node, name) => node[name]!);
        parent[path[^1]] = JsonNode.Parse(value);
        using var folder = new ModelFolder(json.ToJsonString());

        var error = Assert.Throws<TokenizerException>(() => Tokenizer.Load(folder.Path));
        Assert.Contains(complaint, error.Message, StringComparison.Ordinal);
        Assert.StartsWith(Path.Combine(folder.Path, "tokenizer.json"), error.Message, StringComparison.Ordinal);
        Assert.EndsWith(".", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void RefusesWhatIsNoJson()
    {
        using var cut = new ModelFolder(Minimal[..50]);
        Assert.Contains("is not valid JSON", Complaint(cut), StringComparison.Ordinal);
        using var half = new ModelFolder("""{"model": {"type": "\ud800"}}""");
        Assert.Contains("model.type holds text that is not valid Unicode", Complaint(half), StringComparison.Ordinal);
        using var name = new ModelFolder("""{"model": {"type": "BPE", "vocab": {"\ud800": 1}}}""");
        Assert.Contains("model.vocab holds text that is not valid Unicode", Complaint(name), StringComparison.Ordinal);
        using var none = new ModelFolder((string?)null);
        Assert.Contains("does not exist", Complaint(none), StringComparison.Ordinal);
        using var deep = new ModelFolder(new string('[', 10_000));
        Assert.Contains("is not valid JSON", Complaint(deep), StringComparison.Ordinal);
        using var config = new ModelFolder(Minimal, "{");
        Assert.Contains("tokenizer_config.json is not valid JSON", Complaint(config), StringComparison.Ordinal);
    }

    private static string Complaint(ModelFolder folder) =>
        Assert.Throws<TokenizerException>(() => Tokenizer.Load(folder.Path)).Message;
}
