using TensorParallel.Coordinator.Workers;

namespace TensorParallel.Coordinator.Sharing;

/// <summary>Takes a model off its devices and brings it back. Calls come one at a time.</summary>
internal interface IModelMoves
{
    /// <summary>Waits until nothing is computed, then gives the devices' memory back. Throws when the workers are lost.</summary>
    Task<MoveSummary> EvictAsync();

    /// <summary>Undoes <see cref="EvictAsync"/>; then requests are computed again. Throws when the workers are lost.</summary>
    Task<MoveSummary> RestoreAsync();
}
