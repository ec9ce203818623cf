using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Collectives;
using TensorParallel.Worker.Collectives.PeerMemory;
using Xunit;

namespace TensorParallel.Worker.Tests.Collectives;

/// <summary>What decides the way of a call between GPUs; no GPU needed.</summary>
public sealed class PeerShapeTests
{
    private const long Half = PeerGroup.HalfBytes;

    [Fact]
    public void Rows_without_gaps_are_one_row()
    {
        using var device = new HostDevice();
        var dense = PeerShape.Of(device.Tensor(DType.BF16, 3, 100));
        Assert.Equal((1, 300, 38, true), (dense.Rows, dense.Columns, dense.RowItems, dense.IsAligned));
        var kept = PeerShape.Of(device.Tensor(DType.BF16, 3, 100), keepRows: true);
        Assert.Equal((3, 100, 13, false), (kept.Rows, kept.Columns, kept.RowItems, kept.IsAligned)); // 200 bytes a row
        var strided = PeerShape.Of(device.Tensor(DType.F32, 3, 100, gap: 4));
        Assert.Equal((3, 100, 25, true), (strided.Rows, strided.Columns, strided.RowItems, strided.IsAligned));
    }

    [Theory]
    [InlineData(2, 2 << 20, true, true)]
    [InlineData(8, 512 << 10, true, true)]
    [InlineData(8, 1 << 20, false, true)]
    [InlineData(2, 4 << 20, false, false)]
    [InlineData(4, 512, true, false)] // one tile: three ranks would have nothing to sum, and hear nothing
    public void Calls_fit_while_their_packets_do(int ranks, int bytes, bool oneShot, bool twoShot)
    {
        var shape = new PeerShape(1, bytes / 2, (bytes + 15) / 16, true);
        Assert.Equal((oneShot, twoShot), (shape.Fits(ranks, false, Half), shape.Fits(ranks, true, Half)));
    }

    [Fact]
    public void Slots_have_room_for_every_tile()
    {
        for (var items = 1; items < 400; items++)
        {
            var shape = new PeerShape(1, items * 8, items, true);
            for (var ranks = 2; ranks <= 8; ranks++)
            {
                var tiles = (items - 1) / 32;
                Assert.True(tiles * 1024L < shape.SlotBytes(ranks, twoShot: false));
                Assert.True(tiles / ranks * 1024L < shape.SlotBytes(ranks, twoShot: true));
            }
        }
    }

    [Theory]
    [InlineData(2, 2048, 4096, 1)]
    [InlineData(2, 8192, 4096, 2)]
    [InlineData(8, 4097, 4096, 2)]
    [InlineData(8, 64, 4096, 1)]
    [InlineData(3, 100_000, 264, 2)]
    public void Every_row_belongs_to_one_rank_and_parts_fit(int ranks, int rows, int columns, int expected)
    {
        var pieces = PeerRowCalls.Pieces(rows, columns).ToArray();
        Assert.Equal(expected, pieces.Length);
        var owners = new int[rows];
        foreach (var piece in pieces)
        {
            Assert.True((long)piece.Rows * columns * 2 <= PeerGroup.PieceBytes);
            Assert.True((ranks - 1L) * ((piece.Rows + ranks - 1) / ranks) * columns * 2 <= PeerGroup.PieceBytes);
            for (var rank = 0; rank < ranks; rank++)
            {
                var (first, count) = PeerRowCalls.Share(rank, ranks, piece);
                Assert.True(count > 0 && count <= (piece.Rows + ranks - 1) / ranks);
                for (var row = first; row < first + count; row++)
                {
                    owners[row]++;
                }
            }

            Assert.InRange(PeerRowCalls.Lanes(132, ranks, 1, piece.Rows), 1, (piece.Rows + ranks - 1) / ranks);
        }

        Assert.All(owners, n => Assert.Equal(1, n));
    }

    [Fact]
    public void Few_rows_share_blocks()
    {
        var choice = new PeerChoice(0, 0, 2, 8);
        Assert.Equal([2, 2, 1], new[] { 1, 4, 8 }.Select(rows => choice.PartsOf(rows, 4096)));
        Assert.Equal([8, 4, 2, 1], new[] { 1, 2, 3, 8 }.Select(rows => choice.PartsOf(rows, 8192)));
    }

    [Fact]
    public void Limits_follow_the_fastest_way_from_the_smallest_size_up()
    {
        Assert.Equal((64L, 256L), Limits((16, 3, 4, 7), (64, 4, 5, 8), (256, 9, 7, 9), (1024, 30, 20, 15)));
        Assert.Equal((64L, 0L), Limits((16, 3, 4, 7), (64, 4, 5, 8), (256, 30, 20, 9)));
        Assert.Equal((0L, 64L), Limits((16, 4, 3, 7), (64, 4, 5, 8), (256, 30, 20, 9)));
        Assert.Equal((0L, 0L), Limits((16, 30, 40, 7), (64, 4, 5, 8)));
        Assert.Equal((256L, 0L), Limits((16, 3, 4, 7), (64, 4, 5, 8), (256, 9.9, 11, 9)));
    }

    private static (long OneShot, long TwoShots) Limits(params (int Bytes, double One, double Two, double Nccl)[] sizes) =>
        PeerCalibration.Limits(sizes.SelectMany(s => new[]
        {
            Timing(s.Bytes, PeerCalibration.OneShot, s.One),
            Timing(s.Bytes, PeerCalibration.TwoShots, s.Two),
            Timing(s.Bytes, "nccl", s.Nccl),
        }));

    private static CollectiveTiming Timing(int bytes, string path, double microseconds) =>
        new(PeerCalibration.SumOperation, path, bytes, microseconds);
}
