namespace TensorParallel.Protocol.Checkpoints;

/// <summary>Element type.</summary>
public enum DType
{
    /// <summary>IEEE single.</summary>
    F32,

    /// <summary>bfloat16.</summary>
    BF16,

    /// <summary>IEEE half.</summary>
    F16,

    /// <summary>32-bit integer.</summary>
    I32,
}
