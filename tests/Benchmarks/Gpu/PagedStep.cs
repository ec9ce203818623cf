using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops;

namespace TensorParallel.Benchmarks.Gpu;

/// <summary>A step over a paged cache of random keys and values: sequences of equal length whose blocks interleave.</summary>
internal sealed class PagedStep : IDisposable
{
    private const int BlockTokens = 16;

    public PagedStep(GpuBench bench, HeadLayout heads, int sequences, int past, int rowsEach)
    {
        var context = past + rowsEach;
        var blocks = (context + BlockTokens - 1) / BlockTokens;
        var tokens = sequences * rowsEach;
        Heads = heads;
        var cacheRows = sequences * blocks * heads.KeyValueHeads * BlockTokens;
        Keys = bench.Random(cacheRows, heads.HeadDim, MemoryPurpose.KvCache);
        Values = bench.Random(cacheRows, heads.HeadDim, MemoryPurpose.KvCache);
        Rows = new StepRows(
            tokens,
            sequences,
            bench.Integers(1, [.. Enumerable.Range(0, tokens).Select(t => past + (t % rowsEach))]),
            bench.Integers(1, [.. Enumerable.Range(0, tokens).Select(t => t / rowsEach)]),
            bench.Integers(1, [.. Enumerable.Range(0, sequences + 1).Select(s => s * rowsEach)]),
            bench.Integers(
                sequences,
                [.. Enumerable.Range(0, sequences * blocks).Select(i => (i % blocks * sequences) + (i / blocks))]),
            context,
            rowsEach);
    }

    public HeadLayout Heads { get; }

    public StepRows Rows { get; }

    public Tensor Keys { get; }

    public Tensor Values { get; }

    public KvLayerView Cache => new(Keys, Values, Heads.KeyValueHeads, Heads.HeadDim, BlockTokens);

    public void Dispose()
    {
        foreach (var tensor in (Tensor[])[Keys, Values, Rows.Positions, Rows.RowSequences, Rows.QueryStarts, Rows.BlockTables])
        {
            tensor.Buffer.Dispose();
        }
    }
}
