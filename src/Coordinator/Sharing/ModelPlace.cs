namespace TensorParallel.Coordinator.Sharing;

/// <summary>Where a model's weights are.</summary>
internal enum ModelPlace
{
    /// <summary>Nowhere: its workers are not started, or lost.</summary>
    Absent,

    /// <summary>On its devices.</summary>
    Devices,

    /// <summary>In host memory: its workers wait to be asked back.</summary>
    Host,
}
