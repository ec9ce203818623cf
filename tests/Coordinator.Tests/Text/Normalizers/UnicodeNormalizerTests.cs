using System.Text;
using System.Text.Json;
using TensorParallel.Coordinator.Text;
using TensorParallel.Coordinator.Text.Normalizers;
using Xunit;

namespace TensorParallel.Coordinator.Tests.Text.Normalizers;

public sealed class UnicodeNormalizerTests
{
    private static readonly TokenizerJson s_json =
        new("tokenizer.json", "normalizer", JsonDocument.Parse("""{"type": "NFC"}""").RootElement);

    [Fact]
    public void ComposesAroundTheNoncharacterThatDotNetRefuses() => Assert.Equal(
        "\u00e9\ufffe\u00e9", new UnicodeNormalizer(NormalizationForm.FormC, s_json).Normalize("e\u0301\ufffee\u0301"));

    [Fact]
    public void RefusesToRunWithoutIcu()
    {
        var error = Assert.Throws<TokenizerException>(() => UnicodeNormalizer.RequireUnicode(text => text, s_json));
        Assert.Contains("libicu", error.Message, StringComparison.Ordinal);
        Assert.StartsWith("tokenizer.json: normalizer asks", error.Message, StringComparison.Ordinal);
    }
}
