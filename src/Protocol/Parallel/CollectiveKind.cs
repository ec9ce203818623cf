namespace TensorParallel.Protocol.Parallel;

/// <summary>What ranks must do together to turn one <see cref="ActivationLayout"/> into another.</summary>
public enum CollectiveKind
{
    /// <summary>Nothing.</summary>
    None,

    /// <summary>Sum over the ranks: partial to replicated.</summary>
    AllReduce,

    /// <summary>Join the columns of all ranks: sharded to replicated.</summary>
    AllGather,
}
