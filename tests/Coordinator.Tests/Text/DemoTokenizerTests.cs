using System.Text.Json;
using TensorParallel.Coordinator.Text;
using TensorParallel.TestKit;
using Xunit;

namespace TensorParallel.Coordinator.Tests.Text;

public sealed class DemoTokenizerTests
{
    private static readonly Tokenizer s_tokenizer = Tokenizer.Load(RepositoryPaths.DemoModel);

    [Fact]
    public void GoldenTexts()
    {
        var file = Path.Combine(RepositoryPaths.DemoModel, "golden_tokenizer.json");
        using var golden = JsonDocument.Parse(File.ReadAllText(file));
        var comparison = new OracleComparison(s_tokenizer);
        foreach (var item in golden.RootElement.EnumerateArray())
        {
            comparison.Add(new OracleCase(
                item.GetProperty("text").GetString()!,
                Ids(item, "ids"),
                Ids(item, "ids_no_special"),
                item.GetProperty("decoded").GetString()!,
                item.GetProperty("decoded_skip").GetString()!));
        }

        Assert.True(comparison.Cases > 3);
        Assert.True(comparison.Differences == 0, comparison.Report);
    }

    [Fact]
    public void SizeAndSpecialTokens()
    {
        Assert.Equal(4096, s_tokenizer.VocabularySize);
        Assert.Equal(0, s_tokenizer.BosTokenId);
        Assert.Equal([0, 1, 2, 3, 4], Enumerable.Range(0, 4096).Where(s_tokenizer.IsSpecial));
        Assert.False(s_tokenizer.IsSpecial(-1));
        Assert.False(s_tokenizer.IsSpecial(int.MaxValue));
    }

    private static int[] Ids(JsonElement item, string key) =>
        [.. item.GetProperty(key).EnumerateArray().Select(id => id.GetInt32())];
}
