namespace TensorParallel.Protocol.Parallel;

/// <summary>Kinds of modules that a style can cut.</summary>
[Flags]
public enum TpTargets
{
    /// <summary>None.</summary>
    None = 0,

    /// <summary>A linear layer of one part.</summary>
    Linear = 1,

    /// <summary>A linear layer that stacks several parts, such as gate‖up.</summary>
    PackedLinear = 2,

    /// <summary>The token embedding.</summary>
    Embedding = 4,

    /// <summary>A norm.</summary>
    Norm = 8,

    /// <summary>All of them.</summary>
    Any = Linear | PackedLinear | Embedding | Norm,
}
