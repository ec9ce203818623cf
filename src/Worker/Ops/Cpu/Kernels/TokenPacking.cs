using System.Runtime.CompilerServices;

namespace TensorParallel.Worker.Ops.Cpu.Kernels;

/// <summary>
/// Token rows in the order in which <see cref="DotTile{TV,TE}"/> reads them: groups of 1, 2, 4 or 6 rows, inside a
/// group [step][row][lane], columns padded with zeros to whole steps, the last group with rows of zeros. Group g of
/// first row r starts at float r · paddedColumns. Example: 9 rows are groups of 6 and 4 (one of them zeros).
/// </summary>
internal static unsafe class TokenPacking<TV>
    where TV : struct, ILanes<TV>
{
    /// <summary>Columns padded to whole registers.</summary>
    public static int PaddedColumns(int columns) => (columns + TV.Count - 1) / TV.Count * TV.Count;

    /// <summary>
    /// Size of the next group when <paramref name="remaining"/> rows are left; may be one more than are left. Seven and
    /// eight rows go as 4 + 4: a lone seventh would cost a whole pass over the weights for one row.
    /// </summary>
    public static int GroupRows(int remaining) =>
        TV.Count < 16 ? Math.Min(remaining, 2) : remaining switch
        {
            1 or 2 => remaining,
            3 or 4 or 7 or 8 => 4,
            _ => 6,
        };

    /// <summary>Packs one group; rows from <paramref name="rows"/> on become zeros.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Pack(float* source, long stride, int rows, int columns, float* target, int groupRows)
    {
        var whole = columns / TV.Count;
        var steps = (columns + TV.Count - 1) / TV.Count;
        for (var row = 0; row < groupRows; row++)
        {
            var to = target + (row * TV.Count);
            if (row >= rows)
            {
                for (var step = 0; step < steps; step++, to += groupRows * TV.Count)
                {
                    TV.Store(default, to);
                }

                continue;
            }

            var from = source + (row * stride);
            for (var step = 0; step < whole; step++, to += groupRows * TV.Count, from += TV.Count)
            {
                TV.Store(TV.Load(from), to);
            }

            if (steps > whole)
            {
                TV.Store(default, to);
                new ReadOnlySpan<float>(from, columns - (whole * TV.Count)).CopyTo(new Span<float>(to, TV.Count));
            }
        }
    }
}
