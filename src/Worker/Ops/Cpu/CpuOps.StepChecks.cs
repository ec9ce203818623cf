using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Ops.Cpu;

internal sealed unsafe partial class CpuOps
{
    private static ReadOnlySpan<int> Integers(Tensor tensor) => new((void*)tensor.Address, tensor.Columns);

    private static void CheckHeads(HeadLayout heads)
    {
        if (heads.QueryHeads < 1 || heads.KeyValueHeads < 1 || heads.GroupSize < 1 || heads.HeadDim < 2
            || heads.HeadDim % 2 != 0 || heads.QueryStart < 0 || heads.KeyValueStart < 0
            || heads.KeyValueHeadOf(0) < 0 || heads.KeyValueHeadOf(heads.QueryHeads - 1) >= heads.KeyValueHeads)
        {
            throw new ArgumentException(
                $"{heads} is impossible: each query head needs its KV head on this rank.", nameof(heads));
        }
    }

    private void CheckRows(StepRows rows)
    {
        Operand.Check(_device, rows.Positions, DType.I32, 1, rows.Tokens);
        Operand.Check(_device, rows.RowSequences, DType.I32, 1, rows.Tokens);
        Operand.Check(_device, rows.QueryStarts, DType.I32, 1, rows.Sequences + 1);
        Operand.Check(_device, rows.BlockTables, DType.I32, rows.Sequences, rows.BlockTables.Columns);
        var starts = Integers(rows.QueryStarts);
        var ordered = starts[0] == 0 && starts[^1] == rows.Tokens;
        for (var s = 0; s < rows.Sequences; s++)
        {
            ordered &= starts[s] <= starts[s + 1];
        }

        if (!ordered)
        {
            throw new ArgumentException($"QueryStarts must rise from 0 to {rows.Tokens}.", nameof(rows));
        }

        var sequences = Integers(rows.RowSequences);
        for (var s = 0; s < rows.Sequences; s++)
        {
            if (sequences[starts[s]..starts[s + 1]].ContainsAnyExcept(s))
            {
                throw new ArgumentException($"RowSequences and QueryStarts disagree about sequence {s}.", nameof(rows));
            }
        }
    }

    private void CheckCache(HeadLayout heads, KvLayerView cache)
    {
        if (cache.Heads != heads.KeyValueHeads || cache.HeadDim != heads.HeadDim || cache.BlockTokens < 1)
        {
            throw new ArgumentException(
                $"The cache has {cache.Heads} heads of {cache.HeadDim}, the layer {heads.KeyValueHeads} of " +
                $"{heads.HeadDim}.",
                nameof(cache));
        }

        Operand.CheckFloat(_device, cache.Keys, cache.Keys.Rows, cache.HeadDim);
        Operand.Check(_device, cache.Values, cache.Keys.DType, cache.Keys.Rows, cache.HeadDim);
        if (cache.Keys.RowStride != cache.HeadDim || cache.Values.RowStride != cache.HeadDim
            || cache.Keys.Rows % (cache.Heads * cache.BlockTokens) != 0)
        {
            throw new ArgumentException("Keys and values must be dense and hold whole blocks.", nameof(cache));
        }
    }

    private static void CheckOptions(AttentionOptions options)
    {
        if (options.SlidingWindow < 1 || options.LogitSoftCap <= 0)
        {
            throw new ArgumentException(
                $"{options} is impossible: window and soft cap must be positive.", nameof(options));
        }
    }

    /// <summary>
    /// Every block exists from the first position that a row of the step touches (its own less window − 1) to its last.
    /// </summary>
    private static void CheckBlocks(StepRows rows, KvLayerView cache, int window)
    {
        var blocks = cache.Keys.Rows / (cache.Heads * cache.BlockTokens);
        var positions = Integers(rows.Positions);
        var starts = Integers(rows.QueryStarts);
        for (var s = 0; s < rows.Sequences; s++)
        {
            var (first, last) = (int.MaxValue, -1);
            foreach (var position in positions[starts[s]..starts[s + 1]])
            {
                first = Math.Min(first, position);
                last = Math.Max(last, position);
            }

            var isFiller = first == -1 && starts[s + 1] - starts[s] == 1;
            if (isFiller || first == int.MaxValue)
            {
                continue;
            }

            if (first < 0 || last / cache.BlockTokens >= rows.BlockTables.Columns)
            {
                throw new ArgumentException(
                    $"Positions {first} … {last} of sequence {s} do not fit its block table of " +
                    $"{rows.BlockTables.Columns} entries of {cache.BlockTokens} tokens.", nameof(rows));
            }

            first = Math.Max(0, first - window + 1) / cache.BlockTokens;
            var table = new ReadOnlySpan<int>(RowBytes(rows.BlockTables, s), rows.BlockTables.Columns);
            foreach (var block in table[first..((last / cache.BlockTokens) + 1)])
            {
                if ((uint)block >= (uint)blocks)
                {
                    throw new ArgumentException(
                        $"Block {block} of sequence {s} is outside the cache of {blocks} blocks.", nameof(rows));
                }
            }
        }
    }
}
