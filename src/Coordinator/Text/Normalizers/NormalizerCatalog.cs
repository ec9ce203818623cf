using System.Text;

namespace TensorParallel.Coordinator.Text.Normalizers;

/// <summary>The normalizers there are. To add one: a file in this folder and a line here.</summary>
internal static class NormalizerCatalog
{
    private static readonly Dictionary<string, Func<TokenizerJson, INormalizer>> s_kinds = new(StringComparer.Ordinal)
    {
        ["Sequence"] = SequenceNormalizer.Read,
        ["NFC"] = json => new UnicodeNormalizer(NormalizationForm.FormC, json),
        ["NFD"] = json => new UnicodeNormalizer(NormalizationForm.FormD, json),
        ["NFKC"] = json => new UnicodeNormalizer(NormalizationForm.FormKC, json),
        ["NFKD"] = json => new UnicodeNormalizer(NormalizationForm.FormKD, json),
        ["Replace"] = ReplaceNormalizer.Read,
        ["Prepend"] = PrependNormalizer.Read,
        ["Strip"] = StripNormalizer.Read,
        ["Lowercase"] = _ => new LowercaseNormalizer(),
    };

    public static INormalizer Read(TokenizerJson json) => s_kinds.TryGetValue(json.Kind, out var read)
        ? read(json)
        : throw json.Unsupported(json.Kind, s_kinds.Keys);
}
