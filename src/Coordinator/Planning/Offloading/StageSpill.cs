namespace TensorParallel.Coordinator.Planning.Offloading;

/// <summary>A stage and what is off its device.</summary>
internal readonly record struct StageSpill(StageWeights Stage, SpillChoice Choice)
{
    /// <summary>All bytes off the device.</summary>
    public long Bytes => Choice.OffBytes;
}
