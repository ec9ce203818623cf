namespace TensorParallel.Coordinator.Engine;

/// <summary>How the engine queues, restarts and stops.</summary>
internal sealed record EngineOptions
{
    /// <summary>Most requests that wait for a slot; one more is refused as busy.</summary>
    public int MaxWaiting { get; init; } = 1024;

    /// <summary>
    /// Parts that running sequences are divided into, so that the stages of a device map work at once; null: as many as there are
    /// stages, 1: no parts, and one stage works at a time. Without effect where all devices compute every step.
    /// </summary>
    public int? MicroBatches { get; init; }

    /// <summary>
    /// Starts tried in a row after a loss, without a completed step between them, before the engine gives up.
    /// </summary>
    public int RestartAttempts { get; init; } = 5;

    /// <summary>
    /// Pause before the second start in a row; it doubles from then on up to <see cref="LongestRestartPause"/>, and the
    /// first start follows the loss at once. Example: 0, 1, 2, 4, 8 s.
    /// </summary>
    public TimeSpan RestartPause { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>No pause between starts is longer.</summary>
    public TimeSpan LongestRestartPause { get; init; } = TimeSpan.FromSeconds(30);
}
