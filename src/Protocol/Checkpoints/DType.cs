namespace TensorParallel.Protocol.Checkpoints;

/// <summary>
/// Element type of a tensor in a safetensors file: every type that the format knows, so that a header can be validated
/// even when nothing here computes with the type. <see cref="DTypes"/> has names and sizes.
/// </summary>
public enum DType
{
    /// <summary>One byte, 0 or 1.</summary>
    Bool,

    /// <summary>Four bits, two elements a byte (e2m1).</summary>
    F4,

    /// <summary>Six bits: 2 of exponent, 3 of mantissa.</summary>
    F6E2M3,

    /// <summary>Six bits: 3 of exponent, 2 of mantissa.</summary>
    F6E3M2,
    U8,
    I8,
    F8E5M2,
    F8E4M3,

    /// <summary>Eight bits of exponent only: a power of two, used for scales.</summary>
    F8E8M0,

    /// <summary>e4m3 without infinities and negative zero.</summary>
    F8E4M3Fnuz,

    /// <summary>e5m2 without infinities and negative zero.</summary>
    F8E5M2Fnuz,
    I16,
    U16,
    F16,
    BF16,
    I32,
    U32,
    F32,

    /// <summary>A pair of <see cref="F32"/>.</summary>
    C64,
    I64,
    U64,
    F64,
}
