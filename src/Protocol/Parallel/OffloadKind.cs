namespace TensorParallel.Protocol.Parallel;

/// <summary>In what portions weights that are off the device come to it, as Diffusers offers them.</summary>
public enum OffloadKind
{
    /// <summary>By component: all blocks that are off the device together, or the head; one evicts the other.</summary>
    Model,

    /// <summary>Block by block, each when it is its turn: the least device memory, nothing overlaps.</summary>
    Sequential,

    /// <summary>Groups of blocks; the next ones are on their way while one is computed, round and round over the steps.</summary>
    Group,
}
