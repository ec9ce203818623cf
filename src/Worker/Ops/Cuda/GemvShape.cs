namespace TensorParallel.Worker.Ops.Cuda;

/// <summary>
/// How products of few rows are cut into blocks: numbers of weight rows a block (in products with an activation, gate and up rows
/// together). The figures are of an H200 with 132 multiprocessors.
/// </summary>
internal static class GemvShape
{
    /// <summary>gemv_few.cu: threads of a block.</summary>
    public const int FewThreads = 128;

    /// <summary>gemv.cu: threads of a block.</summary>
    public const int Threads = 256;

    /// <summary>gemv.cu: shared memory of a block, 256 bytes of ring a thread.</summary>
    public const int SharedBytes = 64 * 1024;

    /// <summary>gemv.cu: most rows of x, two tiles of eight.</summary>
    public const int MaxTokens = 16;

    // The smallest weight for which cuBLASLt is taken from three rows on; 7,168 x 4,096 is below.
    private const long LibraryElements = 8192L * 4096;

    // gemv_few.cu: blocks that a multiprocessor holds at once, with 8 rows a block and with fewer.
    private const int Resident8 = 6;
    private const int Resident4 = 8;

    /// <summary>
    /// Weight rows of a block of gemv_few.cu: 2, 4 or 8. Best is one wave of blocks that fills the device, for each wave begins
    /// with a wait and ends with the slowest. 6,144 rows: 8 (768 blocks of 792 that fit; 12.5 us, with 4 13.2, with 2 13.8). 4,096
    /// rows: 4 (1,024 of 1,056; 14.3 us with 7,168 columns, 15.0 and 18.0 with 2 and 8). Where that leaves much of the device
    /// empty, 8 rows a block cost less, since a block reads x once for all of its rows, as long as each multiprocessor has two
    /// blocks (3,072 rows: 8). Many waves smooth themselves out, and small blocks do it best: 28,672 rows: 2. Rows of up to 2,048
    /// columns are too short for a thread's eight loads unless there are several: 8. Too few blocks for two a multiprocessor: 2.
    /// </summary>
    public static int FewRows(int rows, int columns, int multiprocessors)
    {
        var eights = (rows + 7) / 8;
        var fours = (rows + 3) / 4;
        var enough = eights >= 2 * multiprocessors;
        if (columns <= 2048)
        {
            return enough ? 8 : 4;
        }

        if (rows >= 64 * multiprocessors)
        {
            return 2;
        }

        if (fours < 2 * multiprocessors)
        {
            return 2;
        }

        var wave8 = Resident8 * multiprocessors;
        var fills8 = eights <= wave8 && eights * 10 >= wave8 * 9;
        var empty4 = fours * 4 < Resident4 * multiprocessors * 3;
        return fills8 || (empty4 && enough) ? 8 : 4;
    }

    /// <summary>
    /// Weight rows of a block of gemv.cu: as many as the tile takes, but so that the blocks fill the multiprocessors evenly.
    /// 1,536 rows: one block each, 12 rows; 4,096 rows: two each, 16 rows (a third of a block more would cost a third of the time).
    /// </summary>
    public static int Rows(int rows, bool manyRows, int multiprocessors)
    {
        // With more than 8 rows of x, wide tiles halve the traffic for x, which is then as much as that for weights.
        var most = manyRows && rows >= 32 * multiprocessors ? 32 : 16;
        var blocksEach = ((((rows + most - 1) / most) + multiprocessors) - 1) / multiprocessors;
        var blocks = blocksEach * multiprocessors;
        return Math.Max(1, Math.Min(most, (rows + blocks - 1) / blocks));
    }

    /// <summary>
    /// Whether cuBLASLt is the faster way for these rows of x. One or two rows are bound by the weight's bytes, and gemv_few.cu
    /// reads them at 4.3 TB/s. From three rows on the library's tiles of tensor cores win on large weights: 28,672 x 4,096 takes it
    /// 58 us for any number of rows up to 32, gemv.cu 62 us for 4 and 68 for 16; 4,096 x 14,336 33 against 37 to 39. 7,168 x 4,096
    /// takes 17.4 against 18.2 to 19.0, with an activation of its own in gemv.cu; 6,144 x 4,096 16.0 against 14.6 to 15.9.
    /// </summary>
    public static bool IsForLibrary(int tokens, int rows, int columns) =>
        tokens > MaxTokens || (tokens > 2 && (long)rows * columns >= LibraryElements);
}
