namespace TensorParallel.Worker.Ops.Cuda;

/// <summary>How the blocks of decode attention that share a sequence's context join their parts.</summary>
internal enum DecodeJoin
{
    /// <summary>Through global memory; the block that arrives last joins.</summary>
    Memory,

    /// <summary>Through the shared memory of a cluster of 2, 4 or 8 blocks; from compute capability 9.0 on.</summary>
    Cluster,
}
