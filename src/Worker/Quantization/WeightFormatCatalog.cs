namespace TensorParallel.Worker.Quantization;

/// <summary>Every weight format there is.</summary>
internal static class WeightFormatCatalog
{
    /// <summary>All formats; names are distinct.</summary>
    public static IReadOnlyList<IWeightFormat> All { get; } = [new DenseFormat()];

    /// <summary>
    /// The format called <paramref name="name"/>; throws <see cref="ArgumentException"/> with the names there are.
    /// </summary>
    public static IWeightFormat Get(string name) =>
        All.FirstOrDefault(f => f.Name == name) ?? throw new ArgumentException(
            $"There is no weight format \"{name}\": choose one of {string.Join(", ", All.Select(f => f.Name))}.",
            nameof(name));
}
