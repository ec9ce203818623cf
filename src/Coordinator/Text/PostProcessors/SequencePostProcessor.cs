namespace TensorParallel.Coordinator.Text.PostProcessors;

/// <summary>Several post-processors, one after the other.</summary>
internal sealed class SequencePostProcessor(IPostProcessor[] parts) : IPostProcessor
{
    public static SequencePostProcessor Read(TokenizerJson json, int vocabularySize) => new(
        [.. json.Required("processors").Items().Select(part => PostProcessorCatalog.Read(part, vocabularySize))]);

    public List<int> Apply(List<int> ids, bool addSpecialTokens) =>
        parts.Aggregate(ids, (current, part) => part.Apply(current, addSpecialTokens));
}
