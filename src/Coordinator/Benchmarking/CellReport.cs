namespace TensorParallel.Coordinator.Benchmarking;

/// <summary>One cell, medians over its runs.</summary>
internal sealed record CellReport
{
    /// <summary>Tokens of each prompt.</summary>
    public required int PromptTokens { get; init; }

    /// <summary>Tokens generated for each.</summary>
    public required int NewTokens { get; init; }

    /// <summary>Sequences at once.</summary>
    public required int Batch { get; init; }

    /// <summary>From submission until every sequence has its first token.</summary>
    public required double TtftMs { get; init; }

    /// <summary>Prompt tokens of the batch over that time.</summary>
    public required double PromptTokensPerSecond { get; init; }

    /// <summary>One token of every sequence of the batch; null where a single token was asked for.</summary>
    public double? DecodeMsPerToken { get; init; }

    /// <summary>What one sequence gets.</summary>
    public double? TokensPerSecondPerSequence { get; init; }

    /// <summary>What all sequences together get.</summary>
    public double? TokensPerSecond { get; init; }

    /// <summary>Bytes of weights, keys and values that all ranks together read for that.</summary>
    public required long BytesPerStep { get; init; }

    /// <summary>The time of reading them at the devices' plain rate over the time of a step, 0 to 1.</summary>
    public double? MemoryUtilisation { get; init; }

    /// <summary>Every run's <see cref="TtftMs"/>.</summary>
    public required IReadOnlyList<double> TtftMsRuns { get; init; }

    /// <summary>Every run's <see cref="DecodeMsPerToken"/>.</summary>
    public required IReadOnlyList<double> DecodeMsRuns { get; init; }
}
