using System.Text;

namespace TensorParallel.Worker.Ops;

/// <summary>
/// Random elements of a tensor, each a function of the tensor's name and the element's index in the whole tensor, so that any cut at any
/// number of ranks gives the same model. Element i has w, word i mod 4 of Philox4x32-10 with counter (low, high half of i / 4, 0, 0) and
/// the key; z = (sum of the four bytes of w − 510) / 147.80054, which has mean 0, deviation 1 and lies within ±3.451; the element is
/// mean + deviation · z. Only one product and one sum are rounded, and then the dtype: every device gives the same bits.
/// Example: key 0, element 0: w = 0x6627E8D5, bytes 102 + 39 + 232 + 213 − 510 = 76, z = 0.5142.
/// </summary>
/// <param name="Key">Chooses the sequence: see <see cref="KeyOf"/>.</param>
/// <param name="FirstRow">Row of the whole tensor that row 0 of the target is.</param>
/// <param name="FirstColumn">Column of the whole tensor that column 0 of the target is.</param>
/// <param name="FullColumns">Columns of the whole tensor.</param>
/// <param name="Mean">Mean.</param>
/// <param name="Deviation">Standard deviation; 0 makes every element the mean.</param>
internal readonly record struct RandomFill(
    ulong Key, long FirstRow, long FirstColumn, long FullColumns, float Mean, float Deviation)
{
    /// <summary>Sum of four bytes at the middle of its range.</summary>
    public const int Middle = 510;

    // Of the sum of four numbers drawn from 0 … 255: √(4 · (256² − 1) / 12).
    private const double SumDeviation = 147.80054127099806;

    /// <summary>What one unit of the byte sum adds to an element.</summary>
    public float Unit => (float)(Deviation / SumDeviation);

    /// <summary>Low half of the key.</summary>
    public uint KeyLow => (uint)Key;

    /// <summary>High half of the key.</summary>
    public uint KeyHigh => (uint)(Key >> 32);

    /// <summary>Index in the whole tensor of the first element of a row of the target.</summary>
    public long IndexOf(long row) => ((FirstRow + row) * FullColumns) + FirstColumn;

    /// <summary>The key of a tensor: FNV-1a over its name's UTF-8.</summary>
    public static ulong KeyOf(string name)
    {
        var hash = 0xCBF29CE484222325UL;
        foreach (var value in Encoding.UTF8.GetBytes(name))
        {
            hash = unchecked((hash ^ value) * 0x100000001B3UL);
        }

        return hash;
    }
}
