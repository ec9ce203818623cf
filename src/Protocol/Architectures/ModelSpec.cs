namespace TensorParallel.Protocol.Architectures;

/// <summary>
/// A decoder model as data: what there is, how large, and under which checkpoint names. No forward code: that stands
/// once, in the worker's modules. Made from <c>config.json</c> alone, so sizes and plans need no weights.
/// </summary>
/// <param name="ModelType">Hugging Face's <c>model_type</c>.</param>
/// <param name="HiddenSize">Width of the residual stream.</param>
/// <param name="VocabularySize">Rows of the embedding and of the output head.</param>
/// <param name="MaxPositionEmbeddings">Longest context in tokens.</param>
/// <param name="Embedding">Token embedding.</param>
/// <param name="Blocks">Decoder blocks in order.</param>
/// <param name="FinalNorm">Before the output head.</param>
/// <param name="OutputHead">[VocabularySize, HiddenSize].</param>
/// <param name="TieWordEmbeddings">
/// The output head's weight is the embedding's; the checkpoint holds one of them.
/// </param>
/// <param name="BaseTpPlan">Hugging Face's plan of this family, pattern → style; null: the family has none.</param>
public sealed record ModelSpec(
    string ModelType,
    int HiddenSize,
    int VocabularySize,
    int MaxPositionEmbeddings,
    EmbeddingSpec Embedding,
    IReadOnlyList<BlockSpec> Blocks,
    NormSpec FinalNorm,
    LinearSpec OutputHead,
    bool TieWordEmbeddings,
    IReadOnlyList<KeyValuePair<string, string>>? BaseTpPlan);
