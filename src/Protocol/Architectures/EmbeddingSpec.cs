namespace TensorParallel.Protocol.Architectures;

/// <summary>The token embedding table <c>[VocabularySize, HiddenSize]</c>.</summary>
/// <param name="Name">Module path, for example <c>model.embed_tokens</c>.</param>
/// <param name="VocabularySize">Rows.</param>
/// <param name="HiddenSize">Columns.</param>
public sealed record EmbeddingSpec(string Name, int VocabularySize, int HiddenSize)
{
    /// <summary>Name of the weight tensor in the checkpoint.</summary>
    public string WeightName => Name + ".weight";
}
