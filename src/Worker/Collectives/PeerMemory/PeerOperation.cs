namespace TensorParallel.Worker.Collectives.PeerMemory;

/// <summary>What a kernel was doing when it gave a peer up.</summary>
internal enum PeerOperation
{
    /// <summary>See <see cref="ICollective.AllReduceSum"/>.</summary>
    AllReduceSum = 1,

    /// <summary>See <see cref="ICollective.TryAllReduceAddRmsNorm"/>.</summary>
    AllReduceAddRmsNorm,

    /// <summary>See <see cref="ICollective.AllGatherColumns"/>.</summary>
    AllGatherColumns,

    /// <summary>See <see cref="ICollective.Take"/>.</summary>
    Take,
}
