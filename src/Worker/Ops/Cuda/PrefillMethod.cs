namespace TensorParallel.Worker.Ops.Cuda;

/// <summary>Kernels of prefill attention with tensor cores.</summary>
internal enum PrefillMethod
{
    /// <summary>attention_prefill.cu: every architecture and head size.</summary>
    Mma,

    /// <summary>attention_wgmma.cu: Hopper, some head sizes.</summary>
    Wgmma,
}
