using TensorParallel.Coordinator.Text;

namespace TensorParallel.Coordinator.Engine;

/// <summary>
/// Text of one generation: detokenised, and ended at its first stop string. Belongs to the request's reader.
/// </summary>
/// <param name="tokenizer">Null: all text is empty.</param>
/// <param name="stopStrings">May be empty.</param>
internal sealed class GenerationText(Tokenizer? tokenizer, IReadOnlyList<string> stopStrings)
{
    private readonly IncrementalDetokenizer? _detokenizer = tokenizer?.CreateDetokenizer();
    private readonly StopMatcher _stops = new(stopStrings);

    /// <summary>What the token makes certain.</summary>
    public StopResult Append(int tokenId) => _stops.Append(_detokenizer?.Append(tokenId) ?? string.Empty);

    /// <summary>
    /// What was held back, when the generation ends without a stop string; the rest may still contain one.
    /// </summary>
    public StopResult Flush()
    {
        var rest = _stops.Append(_detokenizer?.Flush() ?? string.Empty);
        return rest.Stopped ? rest : new StopResult(rest.Text + _stops.Flush(), null);
    }
}
