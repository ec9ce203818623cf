using System.Globalization;

namespace TensorParallel.Worker.Collectives.PeerMemory;

/// <summary>Which way a call goes, the same on all ranks. The ways by peer memory give the same bits.</summary>
/// <param name="OneShotBytes">Tensors up to so many bytes go in one shot: everybody sends everything to everybody.</param>
/// <param name="TwoShotBytes">Larger ones up to so many go in two: each rank sums a part and sends it to the others.</param>
/// <param name="RowParts">Blocks that share a row of a fused norm while there are few rows: 1, 2, 4 or 8.</param>
internal sealed record PeerChoice(long OneShotBytes, long TwoShotBytes, int RowParts)
{
    /// <summary>Everything in one shot that fits, for checks before anything is measured.</summary>
    public static PeerChoice AlwaysOneShot { get; } = new(long.MaxValue, long.MaxValue, 1);

    /// <summary>Everything in two shots that fits.</summary>
    public static PeerChoice AlwaysTwoShot { get; } = new(0, long.MaxValue, 1);

    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"one shot up to {OneShotBytes / 1024} KiB, two up to {Math.Max(OneShotBytes, TwoShotBytes) / 1024} KiB, {RowParts} blocks a row");
}
