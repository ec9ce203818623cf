using TensorParallel.Coordinator.Text.Added;
using TensorParallel.Coordinator.Text.Decoders;
using TensorParallel.Coordinator.Text.Models;
using TensorParallel.Coordinator.Text.Normalizers;
using TensorParallel.Coordinator.Text.PostProcessors;
using TensorParallel.Coordinator.Text.PreTokenizers;

namespace TensorParallel.Coordinator.Text;

/// <summary>What a tokenizer file describes. Parts that it leaves out are null; the decoder then joins with spaces.
/// </summary>
internal sealed record TokenizerParts(
    INormalizer? Normalizer,
    AddedVocabulary Added,
    IPreTokenizer? PreTokenizer,
    BpeModel Model,
    IPostProcessor? PostProcessor,
    IDecoder Decoder);
