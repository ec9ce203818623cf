using System.Globalization;

namespace TensorParallel.Worker.Collectives.PeerMemory;

/// <summary>Which way a call goes, the same on all ranks. The ways by peer memory give the same bits.</summary>
/// <param name="OneShotBytes">Tensors up to so many bytes go in one shot: everybody sends everything to everybody.</param>
/// <param name="TwoShotBytes">Larger ones up to so many go in two: each rank sums a part and sends it to the others.</param>
/// <param name="RowParts">Blocks that share a row of a fused norm while there are few rows: 1, 2, 4 or 8.</param>
/// <param name="WideRowParts">The same for rows of more than <see cref="PeerCalls.RowElements"/> elements.</param>
/// <param name="DividedBytes">From so many bytes on, the ranks divide the rows of a fused norm.</param>
internal sealed record PeerChoice(
    long OneShotBytes, long TwoShotBytes, int RowParts, int WideRowParts, long DividedBytes = long.MaxValue)
{
    // Blocks that share rows pay while multiprocessors are short of loads in flight, not while every row has its own.
    private const int MostSharing = 8;

    /// <summary>Everything in one shot that fits, for checks before anything is measured.</summary>
    public static PeerChoice AlwaysOneShot { get; } = new(long.MaxValue, long.MaxValue, 1, 1);

    /// <summary>Everything in two shots that fits.</summary>
    public static PeerChoice AlwaysTwoShot { get; } = new(0, long.MaxValue, 1, 1);

    /// <summary>Rows of norms are divided whenever they can be.</summary>
    public static PeerChoice AlwaysDivided { get; } = new(0, 0, 1, 1, 0);

    /// <summary>Nothing.</summary>
    public static PeerChoice Never { get; } = new(0, 0, 1, 1);

    /// <summary>The same with so many blocks a row of any width.</summary>
    public PeerChoice WithParts(int parts) => this with { RowParts = parts, WideRowParts = parts };

    /// <summary>Blocks a row: with 8 for one row it is 4 for two rows, 2 for three or four and 1 for more.</summary>
    public int PartsOf(int rows, int columns)
    {
        var parts = columns > PeerCalls.RowElements ? WideRowParts : RowParts;
        while (parts > 1 && parts * rows > MostSharing)
        {
            parts /= 2;
        }

        return parts;
    }

    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"one shot up to {OneShotBytes / 1024} KiB, two up to {Math.Max(OneShotBytes, TwoShotBytes) / 1024} KiB, {RowParts} blocks a row, {WideRowParts} a wide one, ")
        + (DividedBytes == long.MaxValue ? "no rows divided" : $"rows divided from {DividedBytes / 1024} KiB");
}
