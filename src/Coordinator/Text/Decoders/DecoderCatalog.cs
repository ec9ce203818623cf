namespace TensorParallel.Coordinator.Text.Decoders;

/// <summary>The decoders there are. To add one: a file in this folder and a line here.</summary>
internal static class DecoderCatalog
{
    private static readonly Dictionary<string, Func<TokenizerJson, IDecoder>> s_kinds = new(StringComparer.Ordinal)
    {
        ["Sequence"] = SequenceDecoder.Read,
        ["ByteLevel"] = _ => new ByteLevelDecoder(),
        ["Replace"] = ReplaceDecoder.Read,
        ["ByteFallback"] = _ => new ByteFallbackDecoder(),
        ["Fuse"] = _ => new FuseDecoder(),
        ["Strip"] = StripDecoder.Read,
        ["Metaspace"] = MetaspaceDecoder.Read,
    };

    public static IDecoder Read(TokenizerJson json) => s_kinds.TryGetValue(json.Kind, out var read)
        ? read(json)
        : throw json.Unsupported(json.Kind, s_kinds.Keys);
}
