namespace TensorParallel.Protocol.Architectures;

/// <summary>A tensor that a checkpoint of a model must have.</summary>
/// <param name="Name">The checkpoint's tensor name.</param>
/// <param name="Shape">[rows, columns], or [length] for norms and biases.</param>
public sealed record ExpectedTensor(string Name, IReadOnlyList<int> Shape)
{
    /// <summary>Product of the sizes.</summary>
    public long Elements => Shape.Aggregate(1L, (product, size) => product * size);
}
