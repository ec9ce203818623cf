namespace TensorParallel.Coordinator.Text.PostProcessors;

/// <summary>The post-processors there are. To add one: a file in this folder and a line here.</summary>
internal static class PostProcessorCatalog
{
    private static readonly Dictionary<string, Func<TokenizerJson, int, IPostProcessor>> s_kinds =
        new(StringComparer.Ordinal)
        {
            ["Sequence"] = SequencePostProcessor.Read,
            ["ByteLevel"] = (_, _) => new ByteLevelPostProcessor(),
            ["TemplateProcessing"] = TemplatePostProcessor.Read,
        };

    /// <param name="json">The component.</param>
    /// <param name="vocabularySize">Ids that it adds must be below.</param>
    public static IPostProcessor Read(TokenizerJson json, int vocabularySize) =>
        s_kinds.TryGetValue(json.Kind, out var read)
            ? read(json, vocabularySize)
            : throw json.Unsupported(json.Kind, s_kinds.Keys);
}
