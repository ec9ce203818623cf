namespace TensorParallel.Protocol.Parallel;

/// <summary>
/// One way to cut a module over the ranks, by Hugging Face's name. It says two things: which part of the parameters a
/// rank holds, and how the activations lie before and after; the collective follows from the latter. Nothing outside
/// this folder knows which dimension is cut. To add a style: one file here, one line in <see cref="TpStyleCatalog"/>.
/// Stateless, thread-safe.
/// </summary>
public abstract class TpStyle
{
    /// <summary>Canonical name, as plans print it.</summary>
    public abstract string Name { get; }

    /// <summary>Other names that mean the same.</summary>
    public virtual IReadOnlyList<string> Aliases => [];

    /// <summary>Modules it makes sense for.</summary>
    public abstract TpTargets Targets { get; }

    /// <summary>Cut dimension of the weight: 0 rows, 1 columns; null: held whole.</summary>
    public abstract int? WeightDim { get; }

    /// <summary>Layout that the module must be fed with.</summary>
    public abstract ActivationLayout InputLayout { get; }

    /// <summary>Layout right after the local product, before any collective.</summary>
    public abstract ActivationLayout LocalOutputLayout { get; }

    /// <summary>Layout handed to the next module.</summary>
    public abstract ActivationLayout OutputLayout { get; }

    /// <summary>
    /// The module is fed whole rows and takes its own columns of them. Example: rowwise_split_input, 4 ranks, 4096
    /// columns: rank 1 reads columns 1024 … 2047.
    /// </summary>
    public bool SplitsInput => WeightDim == 1 && InputLayout == ActivationLayout.Replicated;

    /// <summary>
    /// What the ranks do together after the local product; a bias that is not cut is added after it, once.
    /// </summary>
    public CollectiveKind Collective => ActivationLayouts.Between(LocalOutputLayout, OutputLayout);

    /// <summary>The slice of a weight [rows, columns].</summary>
    /// <param name="name">The tensor's name.</param>
    /// <param name="rows">All rows.</param>
    /// <param name="columns">All columns.</param>
    /// <param name="part">
    /// This rank's part of <see cref="WeightDim"/>; of one stacked part when the style is for those.
    /// </param>
    /// <param name="elementBytes">Bytes of an element on the device.</param>
    /// <exception cref="ArgumentOutOfRangeException">The part leaves the dimension.</exception>
    public TensorSlice CutWeight(string name, int rows, int columns, IndexRange part, int elementBytes)
    {
        if (WeightDim is not { } dim)
        {
            return new(name, Name, null, [], (long)rows * columns * elementBytes);
        }

        var ranges = Ranges(dim == 0 ? rows : columns, part);
        var other = dim == 0 ? columns : rows;
        return new(name, Name, dim, ranges, ranges.Sum(range => (long)range.Length) * other * elementBytes);
    }

    /// <summary>
    /// The slice of a bias [length]: cut as the weight's rows are. A weight cut by columns leaves it whole: every rank
    /// holds it, and it is added after the sum.
    /// </summary>
    public TensorSlice CutBias(string name, int length, IndexRange part, int elementBytes)
    {
        if (WeightDim != 0)
        {
            return new(name, ReplicateStyle.StyleName, null, [], (long)length * elementBytes);
        }

        var ranges = Ranges(length, part);
        return new(name, Name, 0, ranges, ranges.Sum(range => (long)range.Length) * elementBytes);
    }

    /// <summary>The parts of a dimension that belong to a rank, in storage order.</summary>
    protected virtual IReadOnlyList<IndexRange> Ranges(int size, IndexRange part)
    {
        CheckPart(size, part);
        return [part];
    }

    /// <summary>Throws when a part is not inside [0, size).</summary>
    protected static void CheckPart(int size, IndexRange part)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(part.Start, nameof(part));
        ArgumentOutOfRangeException.ThrowIfLessThan(part.End, part.Start, nameof(part));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(part.End, size, nameof(part));
    }
}
