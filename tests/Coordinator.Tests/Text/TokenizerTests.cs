using System.Text;
using TensorParallel.Coordinator.Text;
using TensorParallel.TestKit;
using Xunit;

namespace TensorParallel.Coordinator.Tests.Text;

public sealed class TokenizerTests
{
    private static readonly Tokenizer s_tokenizer = Tokenizer.Load(RepositoryPaths.DemoModel);

    [Fact]
    public void AnyTextComesBackFromItsIds()
    {
        var seed = Environment.TickCount;
        var random = new Random(seed);
        for (var round = 0; round < 500; round++)
        {
            var text = RandomText(random);
            Assert.True(
                text == s_tokenizer.Decode(s_tokenizer.Encode(text, addSpecialTokens: false)), $"seed {seed}: {text}");
        }
    }

    [Fact]
    public void UnpairedSurrogatesCountAsReplacementCharacters()
    {
        Assert.Equal(s_tokenizer.Encode("a\ufffdb\ufffd"), s_tokenizer.Encode("a\ud800b\udc00"));
        Assert.Equal(s_tokenizer.Encode("\ufffd\ud83d\ude00"), s_tokenizer.Encode("\ud83d\ud83d\ude00"));
    }

    [Fact]
    public void StreamHoldsBackIncompleteCharactersOnly()
    {
        var stream = s_tokenizer.CreateDetokenizer();
        var ids = s_tokenizer.Encode("x\ud83d\ude00", addSpecialTokens: false);
        Assert.Equal(5, ids.Count);
        Assert.Equal(["x", "", "", "", "\ud83d\ude00"], ids.Select(stream.Append));
        Assert.Equal("", stream.Flush());
        Assert.Throws<InvalidOperationException>(() => stream.Append(ids[0]));
    }

    [Fact]
    public void StreamFlushesAnIncompleteCharacter()
    {
        var stream = s_tokenizer.CreateDetokenizer();
        var ids = s_tokenizer.Encode("\ud83d\ude00", addSpecialTokens: false);
        Assert.Equal("", stream.Append(ids[0]) + stream.Append(ids[1]));
        Assert.Equal("\ufffd", stream.Flush());
        Assert.Equal("", stream.Flush());
    }

    /// <summary>More than the cache holds, from several threads, each with its own mixture.</summary>
    [Fact]
    public void ThreadsDoNotDisturbEachOther()
    {
        var texts = Enumerable.Range(0, 200).Select(i => RandomText(new Random(i))).ToArray();
        var expected = texts.Select(text => s_tokenizer.Encode(text)).ToArray();
        Parallel.For(0, 8, thread =>
        {
            var fresh = new Random(thread);
            for (var round = 0; round < 1000; round++)
            {
                s_tokenizer.Encode(RandomText(fresh));
                var i = fresh.Next(texts.Length);
                Assert.Equal(expected[i], s_tokenizer.Encode(texts[i]));
            }
        });
    }

    [Fact]
    public void AnExpressionThatBacktracksForeverIsStopped()
    {
        using var folder = new ModelFolder("""
            {"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []},
             "pre_tokenizer": {"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated"}}
            """);
        var tokenizer = Tokenizer.Load(folder.Path);
        var error = Assert.Throws<TokenizerException>(() => tokenizer.Encode($"{new string('a', 60)}b"));
        Assert.Contains("pre_tokenizer.pattern.Regex needs more than", error.Message, StringComparison.Ordinal);
    }

    private static string RandomText(Random random)
    {
        var text = new StringBuilder();
        for (var n = random.Next(60); n > 0; n--)
        {
            text.Append(random.Next(6) switch
            {
                0 => " ",
                1 => ((char)random.Next(0x20, 0x7f)).ToString(),
                2 => ((char)random.Next(0xa0, 0x3000)).ToString(),
                3 => char.ConvertFromUtf32(random.Next(0x10000, 0x20000)),
                _ => "the quick brown fox jumps".Split(' ')[random.Next(5)],
            });
        }

        return text.ToString();
    }
}
