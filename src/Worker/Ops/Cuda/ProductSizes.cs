namespace TensorParallel.Worker.Ops.Cuda;

/// <summary>
/// Numbers of rows that share an algorithm of a product: there are few, so that all machine code can be read before the first step. Finer
/// where a tile more or less matters: to 64 rows those of recorded steps, to 1,024 whole tiles, then pairs of tiles and more.
/// </summary>
internal static class ProductSizes
{
    private static readonly int[] s_small = [4, 8, 16, 24, 32, 48, 64, 96];

    /// <summary>The size that stands for a number of rows, which is not larger: 50 are 64, 1,000 are 1,024, 1,030 are 1,280.</summary>
    public static int Of(int rows)
    {
        foreach (var size in s_small)
        {
            if (rows <= size)
            {
                return size;
            }
        }

        var step = Step(rows);
        return (int)Math.Min(int.MaxValue, ((long)rows + step - 1) / step * step);
    }

    /// <summary>All sizes up to that of a number of rows; the last is this number itself where its size is larger.</summary>
    public static IReadOnlyList<int> UpTo(int most)
    {
        var sizes = s_small.Where(size => size < most).ToList();
        for (var size = 128; size < most; size += Step(size + 1))
        {
            sizes.Add(size);
        }

        if (most > 0)
        {
            sizes.Add(most);
        }

        return sizes;
    }

    private static int Step(int rows) => rows <= 1024 ? 128 : rows <= 2048 ? 256 : 1024;
}
