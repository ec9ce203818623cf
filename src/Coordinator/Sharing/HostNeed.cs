namespace TensorParallel.Coordinator.Sharing;

/// <summary>Host memory that a model's weights need; bytes.</summary>
/// <param name="Offloaded">As long as its workers run: weights that are never on a device.</param>
/// <param name="Evicted">
/// From the first time on that it leaves its devices: the weights that were on them, pinned on GPUs, where they stay when it comes back.
/// </param>
/// <param name="Budget">The most that the user allows the model; null: what is free.</param>
internal sealed record HostNeed(long Offloaded, long Evicted, long? Budget = null)
{
    /// <summary>Everything.</summary>
    public long Bytes => Offloaded + Evicted;
}
