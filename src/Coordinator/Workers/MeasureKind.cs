namespace TensorParallel.Coordinator.Workers;

/// <summary>What ranks can measure.</summary>
internal enum MeasureKind
{
    /// <summary>The device's plain reading rate: one figure, bytes and time of one read.</summary>
    ReadRate = 1,

    /// <summary>A sum over all ranks: one figure a size, named after the collective.</summary>
    AllReduce,

    /// <summary>Times of operations by kind and rows since the last time; the group must time them.</summary>
    Operations,

    /// <summary>Kernels "loaded" and "compiled" so far, and the time both took.</summary>
    Kernels,

    /// <summary>Device memory: bytes allocated by purpose, and "free" where the device tells.</summary>
    Memory,
}
