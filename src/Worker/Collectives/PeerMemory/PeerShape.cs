using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Collectives.PeerMemory;

/// <summary>
/// How a tensor travels: rows are cut into items of 16 bytes (two packets of 16), 32 of which make a tile. peer.cuh has the same
/// arithmetic. Example: [1, 4096] BF16 is 512 items, 16 tiles, 16 KiB of packets to each peer in one shot.
/// </summary>
/// <param name="Rows">Rows; tensors without gaps count as one.</param>
/// <param name="Columns">Elements of a row.</param>
/// <param name="RowItems">Items of a row.</param>
/// <param name="IsAligned">Whether all rows start at multiples of 16 bytes.</param>
internal readonly record struct PeerShape(int Rows, int Columns, int RowItems, bool IsAligned)
{
    private const int ItemBytes = 16;
    private const int TileItems = 32;
    private const int TileBytes = TileItems * 2 * 16;

    /// <summary>Items in all.</summary>
    public int Items => Rows * RowItems;

    private int Tiles => (Items + TileItems - 1) / TileItems;

    /// <summary>The shape of a tensor of fewer than 2^31 elements.</summary>
    /// <param name="x">The tensor.</param>
    /// <param name="keepRows">Rows stay rows even without gaps between them.</param>
    public static PeerShape Of(Tensor x, bool keepRows = false)
    {
        var element = x.DType.SizeInBytes();
        var isOneRow = x.Rows == 1 || (!keepRows && x.RowStride == x.Columns);
        var (rows, columns) = isOneRow ? (1, x.Rows * x.Columns) : (x.Rows, x.Columns);
        var perItem = ItemBytes / element;
        var aligned = x.Address % ItemBytes == 0 && (rows == 1 || (long)x.RowStride * element % ItemBytes == 0);
        return new PeerShape(rows, columns, (columns + perItem - 1) / perItem, aligned);
    }

    /// <summary>Bytes of a slot: what one rank sends another, in two shots only for the items that the other sums.</summary>
    public long SlotBytes(int ranks, bool twoShot) => (long)(twoShot ? (Tiles + ranks - 1) / ranks : Tiles) * TileBytes;

    /// <summary>
    /// Whether the packets of a call fit into half a mailbox. In two shots every rank must have a tile to sum, so that everybody
    /// hears from everybody.
    /// </summary>
    public bool Fits(int ranks, bool twoShot, long halfBytes) =>
        (ranks * SlotBytes(ranks, twoShot)) + (twoShot ? (long)Tiles * TileBytes : 0) <= halfBytes && (!twoShot || Tiles >= ranks);
}
