namespace TensorParallel.Coordinator.Text.PostProcessors;

/// <summary>Corrects the offsets of tokens in the text, which nothing here uses; the ids stay as they are.</summary>
internal sealed class ByteLevelPostProcessor : IPostProcessor
{
    public List<int> Apply(List<int> ids, bool addSpecialTokens) => ids;
}
