namespace TensorParallel.Worker.Ops.Cpu;

/// <summary>Bits of the vectors that the CPU operations compute with.</summary>
internal enum CpuVectorWidth
{
    /// <summary>SSE, NEON, or plain code where there is neither.</summary>
    Bits128 = 128,

    /// <summary>AVX2 with FMA.</summary>
    Bits256 = 256,

    /// <summary>AVX-512.</summary>
    Bits512 = 512,
}
