namespace TensorParallel.Protocol.Parallel;

/// <summary>How the rows that go from one module to the next lie on the ranks.</summary>
public enum ActivationLayout
{
    /// <summary>Every rank holds the whole rows.</summary>
    Replicated,

    /// <summary>Every rank holds its columns of the rows.</summary>
    Sharded,

    /// <summary>Every rank holds whole rows that are one summand of the true ones.</summary>
    Partial,
}
