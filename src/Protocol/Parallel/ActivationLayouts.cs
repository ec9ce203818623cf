namespace TensorParallel.Protocol.Parallel;

/// <summary>The collective between two layouts.</summary>
public static class ActivationLayouts
{
    /// <summary>What turns <paramref name="from"/> into <paramref name="to"/>.</summary>
    /// <exception cref="ArgumentException">No collective here does that, for example replicated to partial.</exception>
    public static CollectiveKind Between(ActivationLayout from, ActivationLayout to) => (from, to) switch
    {
        _ when from == to => CollectiveKind.None,
        (ActivationLayout.Partial, ActivationLayout.Replicated) => CollectiveKind.AllReduce,
        (ActivationLayout.Sharded, ActivationLayout.Replicated) => CollectiveKind.AllGather,
        _ => throw new ArgumentException($"No collective turns {from} activations into {to} ones.", nameof(to)),
    };
}
