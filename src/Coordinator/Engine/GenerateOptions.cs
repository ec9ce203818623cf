namespace TensorParallel.Coordinator.Engine;

/// <summary>
/// How to generate, as the caller gave it and unchecked; null is "not given". <see cref="GenerateRequestFactory"/>
/// checks the values and fills in what is missing.
/// </summary>
internal sealed record GenerateOptions
{
    /// <summary>Not given: 128. More than the context leaves is cut to that.</summary>
    public int? MaxNewTokens { get; init; }

    /// <summary>End-of-sequence ids are banned before.</summary>
    public int MinNewTokens { get; init; }

    /// <summary>Not given: 0, greedy.</summary>
    public float? Temperature { get; init; }

    /// <summary>0: all.</summary>
    public int TopK { get; init; }

    /// <summary>Not given: 1, all.</summary>
    public float? TopP { get; init; }

    /// <summary>0: all.</summary>
    public float MinP { get; init; }

    /// <summary>Not given: 1, none.</summary>
    public float? RepetitionPenalty { get; init; }

    /// <summary>0: none.</summary>
    public float PresencePenalty { get; init; }

    /// <summary>0: none.</summary>
    public float FrequencyPenalty { get; init; }

    /// <summary>Not given: drawn.</summary>
    public ulong? Seed { get; init; }

    /// <summary>Texts that end the output.</summary>
    public IReadOnlyList<string> Stop { get; init; } = [];

    /// <summary>End-of-sequence ids besides the model's own.</summary>
    public IReadOnlyList<int> EosTokenIds { get; init; } = [];

    /// <summary>Neither the model's nor the request's end-of-sequence ids end the output.</summary>
    public bool IgnoreEos { get; init; }

    /// <summary>Best tokens to report; 0: none.</summary>
    public int LogProbs { get; init; }
}
