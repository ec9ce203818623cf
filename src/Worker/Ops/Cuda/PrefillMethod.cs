namespace TensorParallel.Worker.Ops.Cuda;

/// <summary>Kernels of prefill attention with tensor cores.</summary>
internal enum PrefillMethod
{
    /// <summary>attention_prefill.cu: every architecture and head size.</summary>
    Mma,

    /// <summary>attention_wgmma.cu: Hopper, some head sizes.</summary>
    Wgmma,

    /// <summary>The same, the two groups of a block taking turns at the tensor cores.</summary>
    WgmmaTurns,

    /// <summary>The same, with turns, the copies announcing themselves as they land, and where it fits a longer ring of tiles.</summary>
    WgmmaAhead,
}
