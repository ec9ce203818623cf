namespace TensorParallel.Coordinator.Planning.Fit;

/// <summary>A part of the model that stays whole: the embedding, a layer, or final norm and head.</summary>
/// <param name="Modules">Its names in a device map.</param>
/// <param name="Layer">Number of the layer; null at the ends.</param>
/// <param name="WeightBytes">What it stores.</param>
/// <param name="KvBytes">Its cache, for as many positions as must fit.</param>
/// <param name="ReadBytes">What it reads to compute one token of one full context: what its time follows from.</param>
internal sealed record FitUnit(
    IReadOnlyList<string> Modules, int? Layer, long WeightBytes, long KvBytes, long ReadBytes)
{
    /// <summary>Room in a slot for what comes to the device, every tensor aligned.</summary>
    public long SlotBytes { get; init; } = WeightBytes;

    /// <summary>Of the weights, what never leaves the device: the final norm of the head's unit.</summary>
    public long FixedBytes { get; init; }
}
