using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Ops.Cuda;

/// <summary>How a product of some rows is cut for gemm_stream.cu.</summary>
/// <param name="Rows">Rows of x that there is room for: one of <see cref="Sizes"/>.</param>
/// <param name="Stages">Tiles of weights and x in a block's ring.</param>
/// <param name="Parts">Blocks of a cluster, which share K out: 1 to 8.</param>
internal readonly record struct StreamShape(int Rows, int Stages, int Parts)
{
    /// <summary>Threads of a block: two warpgroups that multiply and a warp that copies.</summary>
    public const int Threads = (2 * 128) + 32;

    /// <summary>Weight rows of a block, gate and up together.</summary>
    public const int Tile = 128;

    /// <summary>Weight rows of a box, of which a tile has two.</summary>
    public const int BoxRows = Tile / 2;

    private const int Hopper = 90;
    private const int MostParts = 8;
    private const int LeastStages = 8; // of a part
    private const int Permuted = 1024; // bytes: boxes start at multiples

    // Of a block on Hopper, less its barriers; and of one of two on a multiprocessor.
    private const int MostSharedBytes = (227 * 1024) - 256;
    private const int HalfSharedBytes = (113 * 1024) - 256;

    /// <summary>Numbers of rows that kernels are made for.</summary>
    public static IReadOnlyList<int> Sizes { get; } = [16, 32, 64];

    /// <summary>Dynamic shared memory of a block.</summary>
    public int SharedBytes => Permuted + (Stages * StageBytes(Rows));

    /// <summary>Whether the kernel can make products of so many rows on a device.</summary>
    public static bool Takes(int tokens, int capability) => capability == Hopper && tokens > 0 && tokens <= Sizes[^1];

    /// <summary>
    /// As many parts as find a multiprocessor each, as long as each has eight tiles of columns. Clusters lie inside of a group of
    /// multiprocessors, so that some of the device's are left over: an H200 holds 30 clusters of 4, so 4,096 weight rows (32 tiles) have 3
    /// parts; with 4 the last two would start when the first have ended (4,096 x 3,584, 16 rows: 13.1 us instead of 9.3). A ring takes
    /// all of a multiprocessor's shared memory; where there are more tiles than multiprocessors half of it, so that one block begins while
    /// another ends.
    /// </summary>
    /// <param name="tokens">Rows of x.</param>
    /// <param name="weightRows">Rows of the weight, gate and up together.</param>
    /// <param name="columns">Columns of both.</param>
    /// <param name="multiprocessors">Of the device.</param>
    /// <param name="clustersAtOnce">How many clusters of a shape the empty device holds.</param>
    public static StreamShape For(
        int tokens, int weightRows, int columns, int multiprocessors, Func<StreamShape, int> clustersAtOnce)
    {
        var tiles = (weightRows + Tile - 1) / Tile;
        var stages = (columns + CudaTensorMap.BoxColumns - 1) / CudaTensorMap.BoxColumns;
        var rows = SizeOf(tokens);
        var shape = new StreamShape(rows, StagesOf(rows, tiles > multiprocessors), 1);
        for (var parts = Math.Min(MostParts, stages / LeastStages); parts > 1; parts--)
        {
            var cut = shape with { Parts = parts };
            if (tiles * parts <= multiprocessors && tiles <= clustersAtOnce(cut))
            {
                return cut;
            }
        }

        return shape;
    }

    /// <summary>Every variant: rows and stages.</summary>
    public static IEnumerable<StreamShape> All() =>
        from rows in Sizes from shares in (bool[])[false, true] select new StreamShape(rows, StagesOf(rows, shares), 1);

    /// <summary>Stages of a ring that has a multiprocessor's shared memory for itself, or that <paramref name="shares"/> it with another.</summary>
    public static int StagesOf(int rows, bool shares) =>
        ((shares ? HalfSharedBytes : MostSharedBytes) - Permuted) / StageBytes(rows);

    private static int SizeOf(int tokens) => Sizes.First(size => tokens <= size);

    private static int StageBytes(int rows) => (Tile + rows) * CudaTensorMap.BoxColumns * 2;
}
