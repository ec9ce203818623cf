using TensorParallel.Protocol.Checkpoints;

namespace TensorParallel.Protocol.Parallel;

/// <summary>One activation buffer of a rank: dense, row-major, allocated once for the largest step.</summary>
/// <param name="Name">One of <see cref="WorkspaceBuffers"/>' names.</param>
/// <param name="Rows">Most rows.</param>
/// <param name="Columns">Columns of a row.</param>
/// <param name="DType">Element type.</param>
public sealed record WorkspaceBuffer(string Name, int Rows, int Columns, DType DType)
{
    /// <summary>Size in bytes, without alignment.</summary>
    public long Bytes => (long)Rows * Columns * DType.SizeInBytes();
}
