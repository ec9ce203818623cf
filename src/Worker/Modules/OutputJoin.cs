namespace TensorParallel.Worker.Modules;

/// <summary>What the ranks' outputs of a linear layer need before the next operation may read them.</summary>
internal enum OutputJoin
{
    /// <summary>Nothing: the output is whole, or is meant to stay cut.</summary>
    None,

    /// <summary>Each rank holds a partial sum: all-reduce.</summary>
    Sum,

    /// <summary>Each rank holds some columns: all-gather.</summary>
    Gather,
}
