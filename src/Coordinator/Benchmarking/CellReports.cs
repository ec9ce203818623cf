namespace TensorParallel.Coordinator.Benchmarking;

/// <summary>Figures of a cell from the times of its runs.</summary>
internal static class CellReports
{
    /// <summary>The cell.</summary>
    /// <param name="cell">Its sizes.</param>
    /// <param name="runs">Times of each run, at least one.</param>
    /// <param name="bytesPerStep">Bytes that all ranks read in a decode step.</param>
    /// <param name="leastSeconds">Time of reading them at the devices' plain rate.</param>
    public static CellReport Of(BenchCell cell, IReadOnlyList<CellTimes> runs, long bytesPerStep, double leastSeconds)
    {
        var first = runs.Select(run => run.FirstToken.TotalMilliseconds).ToArray();
        var decode = runs.Select(run => run.Decode).OfType<TimeSpan>().Select(time => time.TotalMilliseconds).ToArray();
        var ttft = Medians.Of(first);
        double? step = decode.Length > 0 ? Medians.Of(decode) : null;
        return new CellReport
        {
            PromptTokens = cell.PromptTokens,
            NewTokens = cell.NewTokens,
            Batch = cell.Batch,
            TtftMs = ttft,
            PromptTokensPerSecond = (double)cell.PromptTokens * cell.Batch / ttft * 1000,
            DecodeMsPerToken = step,
            TokensPerSecondPerSequence = 1000 / step,
            TokensPerSecond = cell.Batch * 1000 / step,
            BytesPerStep = bytesPerStep,
            MemoryUtilisation = leastSeconds * 1000 / step,
            TtftMsRuns = first,
            DecodeMsRuns = decode,
        };
    }
}
