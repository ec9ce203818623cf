namespace TensorParallel.Protocol.Parallel;

/// <summary>
/// A dimension cut into contiguous parts of whole units; earlier ranks get the surplus. Examples: 8 heads over 3 ranks:
/// 3, 3, 2; 176 columns in units of 16 over 3 ranks: 11 units as 4, 4, 3, which is 64, 64 and 48 columns. Immutable.
/// </summary>
public sealed class UnitPartition
{
    // 16 columns keep vector loads of a part aligned; smaller units only where some rank would be left with nothing.
    private static readonly int[] s_widthUnits = [16, 8, 1];

    /// <summary>Cuts <paramref name="size"/> in units of <paramref name="unit"/>; the last unit may be short.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A number below 1, or fewer units than ranks.</exception>
    public UnitPartition(int size, int unit, int ranks)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(size, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(unit, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(ranks, 1);
        Size = size;
        Unit = unit;
        Ranks = ranks;
        Units = ((size - 1) / unit) + 1;
        ArgumentOutOfRangeException.ThrowIfGreaterThan(ranks, Units);
    }

    /// <summary>The whole dimension.</summary>
    public int Size { get; }

    /// <summary>Indices that stay together.</summary>
    public int Unit { get; }

    /// <summary>Number of parts.</summary>
    public int Ranks { get; }

    /// <summary>Number of units.</summary>
    public int Units { get; }

    /// <summary>Whether some ranks hold a unit more than others.</summary>
    public bool IsUneven => Units % Ranks != 0;

    /// <summary>Part of a rank; never empty.</summary>
    public IndexRange this[int rank] => new(StartOf(rank), StartOf(rank + 1));

    /// <summary>
    /// Cuts a vocabulary or an MLP width: units of 16, else 8, else 1, the first that gives every rank one.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">Fewer indices than ranks.</exception>
    public static UnitPartition OfWidth(int size, int ranks)
    {
        var unit = s_widthUnits.FirstOrDefault(u => ((size - 1) / u) + 1 >= ranks, 1);
        return new UnitPartition(size, unit, ranks);
    }

    private int StartOf(int rank)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(rank);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(rank, Ranks);
        var (each, surplus) = (Units / Ranks, Units % Ranks);
        return (int)Math.Min(Size, ((long)rank * each + Math.Min(rank, surplus)) * Unit);
    }
}
