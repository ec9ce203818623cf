using TensorParallel.Protocol.Checkpoints;

namespace TensorParallel.Worker.Loading;

/// <summary>Sees what was read of a file. Called by several loader threads at once.</summary>
internal interface IChunkCheck
{
    /// <summary>Throws <see cref="CheckpointException"/>, naming file and tensor, when the bytes are not what they should be.</summary>
    /// <param name="chunk">What was read.</param>
    /// <param name="bytes">All of its <see cref="ReadChunk.ReadBytes"/>.</param>
    void Check(in ReadChunk chunk, ReadOnlySpan<byte> bytes);
}
