using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Quantization;

namespace TensorParallel.Worker.Modules;

/// <summary>
/// Allocates the memory of weights and notes what has to be loaded into it. Owns what it has allocated until a model
/// takes over; modules themselves own nothing, so that a failure half-way frees everything in one place.
/// </summary>
internal sealed class WeightAllocator(DType dtype, IWeightFormat format, IWeightPlace place)
{
    private readonly List<IDisposable> _owned = [];
    private readonly List<WeightTarget> _all = [];
    private readonly List<WeightTarget> _targets = [];

    /// <summary>Where what is asked for next lies.</summary>
    public IWeightPlace Place { get; set; } = place;

    /// <summary>All that was allocated.</summary>
    public IReadOnlyList<IDisposable> Owned => _owned;

    /// <summary>All that has to be loaded before the first step.</summary>
    public IReadOnlyList<WeightTarget> Targets => _targets;

    /// <summary>All that this rank computes with, loaded now or for each use.</summary>
    public IReadOnlyList<WeightTarget> All => _all;

    /// <summary>A stacked linear weight in the run's format.</summary>
    public ILinearWeight Linear(IReadOnlyList<WeightPart> parts)
    {
        var noted = new List<WeightTarget>();
        var weight = format.Allocate(Matrix, dtype, parts, noted);
        _owned.Add(weight);
        return Place.Use(weight, [.. noted.Select(Note)]);
    }

    /// <summary>A matrix that is never quantized: the embedding table.</summary>
    public Tensor Table(WeightPart part)
    {
        var table = Own(Matrix(dtype, part.LocalRows, part.LocalColumns));
        Note(new WeightTarget(part.Slice, [part.FullRows, part.FullColumns], table));
        return table;
    }

    /// <summary>Vectors side by side, as one row: a norm, or the biases of a stacked weight.</summary>
    /// <param name="parts">Each vector's slice; FullRows is its full length, FullColumns is 1.</param>
    public Tensor Vector(IReadOnlyList<WeightPart> parts)
    {
        var length = parts.Sum(p => p.LocalRows);
        var row = Own(new Tensor(
            Place.AllocateVector((long)length * dtype.SizeInBytes()), 0, dtype, 1, length, length));
        var column = 0;
        foreach (var part in parts)
        {
            Note(new WeightTarget(part.Slice, [part.FullRows], row.ColumnsAt(column, part.LocalRows)));
            column += part.LocalRows;
        }

        return row;
    }

    /// <summary>Frees everything: for a failure before a model took over.</summary>
    public void Free() => _owned.ForEach(o => o.Dispose());

    private Tensor Matrix(DType type, int rows, int columns) =>
        new(Place.Allocate((long)rows * columns * type.SizeInBytes()), 0, type, rows, columns, columns);

    private WeightTarget Note(WeightTarget target)
    {
        var toLoad = Place.ToLoad(target);
        _all.Add(toLoad ?? target);
        if (toLoad is not null)
        {
            _targets.Add(toLoad);
        }

        return toLoad ?? target;
    }

    private Tensor Own(Tensor tensor)
    {
        _owned.Add(tensor.Buffer);
        return tensor;
    }
}
