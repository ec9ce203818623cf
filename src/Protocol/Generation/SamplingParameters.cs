namespace TensorParallel.Protocol.Generation;

/// <summary>
/// How the next token is chosen, with Hugging Face's names and order: repetition, presence and frequency penalties, ban
/// of the end-of-sequence ids before <see cref="MinNewTokens"/>, temperature, top-k, top-p, min-p, then one draw.
/// </summary>
public sealed record SamplingParameters
{
    /// <summary>0 is greedy; otherwise logits are divided by it. Not negative, finite.</summary>
    public float Temperature { get; init; }

    /// <summary>Keep the k largest; 0 keeps all.</summary>
    public int TopK { get; init; }

    /// <summary>Keep the smallest set whose probability reaches this; in (0, 1]; 1 keeps all.</summary>
    public float TopP { get; init; } = 1f;

    /// <summary>Drop tokens below this fraction of the best one's probability; in [0, 1); 0 keeps all.</summary>
    public float MinP { get; init; }

    /// <summary>
    /// Above 0; 1 is none. Over prompt and generated tokens: positive logits are divided by it, negative multiplied.
    /// </summary>
    public float RepetitionPenalty { get; init; } = 1f;

    /// <summary>Subtracted once from the logit of every token already generated.</summary>
    public float PresencePenalty { get; init; }

    /// <summary>Subtracted from the logit of a generated token once for each time it was generated.</summary>
    public float FrequencyPenalty { get; init; }

    /// <summary>Key of the noise: the same seed gives the same text at any number of workers.</summary>
    public ulong Seed { get; init; }

    /// <summary>
    /// Number of best tokens whose log-probabilities are reported; 0 reports none. At most
    /// <see cref="SamplingLimits.MaxLogProbs"/>.
    /// </summary>
    public int LogProbs { get; init; }

    /// <summary>End-of-sequence ids are banned while fewer tokens than this are generated.</summary>
    public int MinNewTokens { get; init; }

    /// <summary>
    /// Ids that end a sequence; banned before <see cref="MinNewTokens"/>. At most
    /// <see cref="SamplingLimits.MaxEosTokenIds"/>.
    /// </summary>
    public IReadOnlyList<int> EosTokenIds { get; init; } = [];
}
