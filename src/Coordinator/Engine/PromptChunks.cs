namespace TensorParallel.Coordinator.Engine;

/// <summary>
/// How many prompt rows a step gets where steps go through stages one behind the other. Short steps fill and empty the stages fast,
/// long ones compute a row in less time. With m stages and s equal steps all of it takes (s + m − 1) / s of the time that the stages
/// need at least: s = 4 m is at most a quarter more. Belongs to one scheduler.
/// </summary>
/// <param name="microBatches">Parts of the running sequences; 1: steps are as long as they may be.</param>
internal sealed class PromptChunks(int microBatches)
{
    // Fewer rows hardly compute faster: reading the weights takes the time.
    private const int LeastRows = 256;

    // Rows of a matrix product's tile: 1,025 take as long as 1,152, and steps of few different lengths are steps whose products are known.
    private const int TileRows = 128;

    // What fills the waves of blocks of a product with 4,096 outputs (or a multiple): 8 x 16 tiles of 128 x 256 for 132 multiprocessors. With
    // 1,664 rows they are 13 x 16, two waves of which the second is half empty: a row took 8 % longer than with 2,048.
    private const int WaveRows = 1024;

    private int _rows;

    /// <summary>
    /// Most prompt rows of the next step. It does not shrink while prompts are under way: the longest step decides how long the
    /// others wait. Together with the rows of decoding sequences they fill whole tiles. Example: 8 prompts of 2,048 rows and 4 stages: 16
    /// steps of 1,024, and with 3 decoding beside them 1,021 each, 13 prompts: 26 of 1,024; one of 600: 384 and 216.
    /// </summary>
    /// <param name="rowsLeft">Prompt rows of the running sequences that were not sent.</param>
    /// <param name="decoding">Other rows of the step.</param>
    public int Next(long rowsLeft, int decoding)
    {
        if (microBatches == 1)
        {
            return int.MaxValue;
        }

        var steps = Math.Clamp(rowsLeft / LeastRows, 1, 4 * microBatches);
        var rows = (((rowsLeft + steps - 1) / steps) + TileRows - 1) / TileRows * TileRows;
        rows = rows > WaveRows ? rows / WaveRows * WaveRows : rows;
        _rows = rowsLeft == 0 ? 0 : (int)Math.Clamp(rows, _rows, int.MaxValue);
        return rowsLeft <= _rows ? _rows : ((_rows + decoding) / TileRows * TileRows) - decoding;
    }
}
