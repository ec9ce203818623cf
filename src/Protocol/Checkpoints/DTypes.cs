namespace TensorParallel.Protocol.Checkpoints;

/// <summary>Facts about dtypes.</summary>
public static class DTypes
{
    /// <summary>Bytes of one element.</summary>
    public static int SizeInBytes(this DType dtype) => dtype is DType.F32 or DType.I32 ? 4 : 2;
}
