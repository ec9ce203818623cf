using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Quantization;

namespace TensorParallel.Worker.Modules;

/// <summary>
/// Allocates the memory of weights and notes what has to be loaded into it. Owns what it has allocated until a model
/// takes over; modules themselves own nothing, so that a failure half-way frees everything in one place.
/// </summary>
internal sealed class WeightAllocator(IDevice device, DType dtype, IWeightFormat format)
{
    private readonly List<IDisposable> _owned = [];
    private readonly List<WeightTarget> _targets = [];

    /// <summary>All that was allocated.</summary>
    public IReadOnlyList<IDisposable> Owned => _owned;

    /// <summary>All that has to be loaded.</summary>
    public IReadOnlyList<WeightTarget> Targets => _targets;

    /// <summary>A stacked linear weight in the run's format.</summary>
    public ILinearWeight Linear(IReadOnlyList<WeightPart> parts)
    {
        var weight = format.Allocate(device, dtype, parts, _targets);
        _owned.Add(weight);
        return weight;
    }

    /// <summary>A matrix that is never quantized: the embedding table.</summary>
    public Tensor Table(WeightPart part)
    {
        var table = Own(device.AllocateTensor(dtype, part.LocalRows, part.LocalColumns, MemoryPurpose.Weights));
        _targets.Add(new WeightTarget(part.Slice, [part.FullRows, part.FullColumns], table));
        return table;
    }

    /// <summary>Vectors side by side, as one row: a norm, or the biases of a stacked weight.</summary>
    /// <param name="parts">Each vector's slice; FullRows is its full length, FullColumns is 1.</param>
    public Tensor Vector(IReadOnlyList<WeightPart> parts)
    {
        var row = Own(device.AllocateTensor(dtype, 1, parts.Sum(p => p.LocalRows), MemoryPurpose.Weights));
        var column = 0;
        foreach (var part in parts)
        {
            _targets.Add(new WeightTarget(part.Slice, [part.FullRows], row.ColumnsAt(column, part.LocalRows)));
            column += part.LocalRows;
        }

        return row;
    }

    /// <summary>Frees everything: for a failure before a model took over.</summary>
    public void Free() => _owned.ForEach(o => o.Dispose());

    private Tensor Own(Tensor tensor)
    {
        _owned.Add(tensor.Buffer);
        return tensor;
    }
}
