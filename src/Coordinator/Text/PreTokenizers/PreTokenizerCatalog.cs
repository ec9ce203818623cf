namespace TensorParallel.Coordinator.Text.PreTokenizers;

/// <summary>The pre-tokenizers there are. To add one: a file in this folder and a line here.</summary>
internal static class PreTokenizerCatalog
{
    private static readonly Dictionary<string, Func<TokenizerJson, IPreTokenizer>> s_kinds = new(StringComparer.Ordinal)
    {
        ["Sequence"] = SequencePreTokenizer.Read,
        ["Split"] = SplitPreTokenizer.Read,
        ["ByteLevel"] = ByteLevelPreTokenizer.Read,
        ["Metaspace"] = MetaspacePreTokenizer.Read,
        ["Digits"] = DigitsPreTokenizer.Read,
    };

    public static IPreTokenizer Read(TokenizerJson json) => s_kinds.TryGetValue(json.Kind, out var read)
        ? read(json)
        : throw json.Unsupported(json.Kind, s_kinds.Keys);
}
