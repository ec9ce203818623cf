using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Ops.Cuda;

internal sealed partial class CudaOps
{
    private const int MaxHeadDim = Protocol.Parallel.DeviceScratch.MaxHeadDim;
    private const int PlainAttentionThreads = 128;

    // Most blocks of decode attention that share a sequence's context, and those aimed at: as many as run at once. A carve-out leaves room
    // for one a multiprocessor.
    private int MostDecodeBlocks => Math.Min(2 * _device.Multiprocessors, Protocol.Parallel.DeviceScratch.MostDecodeBlocks);

    private int DecodeBlocks => _device.Modules.Carveout is -1 or 100 ? MostDecodeBlocks : _device.Multiprocessors;

    public void RopeAndWriteKv(Tensor fused, HeadLayout heads, Tensor cosSin, StepRows rows, KvLayerView cache)
    {
        CheckStep(fused, heads, rows, cache);
        CudaOperand.Check(_device, cosSin, DType.F32, cosSin.Rows, cosSin.Columns);
        if (cosSin.Columns % 2 != 0 || cosSin.Columns > heads.HeadDim)
        {
            throw new ArgumentException(
                $"cosSin must have an even number of columns up to {heads.HeadDim}, but has {cosSin.Columns}.", nameof(cosSin));
        }

        if (rows.Tokens == 0)
        {
            return;
        }

        var wide = heads.HeadDim % 8 == 0 && cosSin.Columns % 16 == 0 && IsWideRow(fused) && IsWideRow(cosSin)
            && IsWideRow(cache.Keys) && IsWideRow(cache.Values);
        var arguments = new CudaArguments.Rope
        {
            Fused = fused.Address,
            CosSin = cosSin.Address,
            Positions = rows.Positions.Address,
            RowSequences = rows.RowSequences.Address,
            BlockTables = rows.BlockTables.Address,
            Keys = cache.Keys.Address,
            Values = cache.Values.Address,
            FusedStride = fused.RowStride,
            CosSinStride = cosSin.RowStride,
            TableStride = rows.BlockTables.RowStride,
            QueryHeads = heads.QueryHeads,
            KvHeads = heads.KeyValueHeads,
            HeadDim = heads.HeadDim,
            RotaryDim = cosSin.Columns,
            BlockTokens = cache.BlockTokens,
            Wide = wide ? 1 : 0,
        };
        var items = heads.FusedColumns / (wide ? 8 : 1);
        var kernel = _device.Modules.Get(CudaKernels.RopeAndWriteKv(fused.DType, cache.Keys.DType));
        _device.Launch(kernel, new CudaGrid(rows.Tokens, CeilDiv(items, RowThreads), 1, RowThreads), arguments);
    }

    public void RotateAndAttend(
        Tensor fused, HeadLayout heads, Tensor cosSin, AttentionOptions options, StepRows rows, KvLayerView cache, Tensor output)
    {
        var together = FusesRotation && rows.MaxQueryRows == 1 && cosSin.Columns == heads.HeadDim && DecodeShape.CanRotate(heads.HeadDim)
            && heads.HeadDim <= MaxHeadDim && TakesTensorCores(fused, heads, cache, output) && IsWideRow(cosSin);
        if (!together)
        {
            RopeAndWriteKv(fused, heads, cosSin, rows, cache);
            Attention(fused, heads, options, rows, cache, output);
            return;
        }

        CheckAttention(fused, heads, options, rows, cache, output);
        CudaOperand.Check(_device, cosSin, DType.F32, cosSin.Rows, cosSin.Columns);
        if (rows.Tokens > 0)
        {
            var arguments = AttentionArguments(fused, heads, options, rows, cache, output);
            arguments.CosSin = cosSin.Address;
            arguments.CosSinStride = cosSin.RowStride;
            LaunchDecode(fused.DType, heads, rows, arguments, rotates: true);
        }
    }

    public void Attention(
        Tensor fused, HeadLayout heads, AttentionOptions options, StepRows rows, KvLayerView cache, Tensor output)
    {
        CheckAttention(fused, heads, options, rows, cache, output);
        if (rows.Tokens == 0)
        {
            return;
        }

        var arguments = AttentionArguments(fused, heads, options, rows, cache, output);
        if (!TakesTensorCores(fused, heads, cache, output))
        {
            var plain = _device.Modules.Get(CudaKernels.AttentionAny(fused.DType, cache.Keys.DType, heads.HeadDim));
            _device.Launch(plain, new CudaGrid(rows.Tokens, heads.QueryHeads, 1, PlainAttentionThreads), arguments);
            return;
        }

        if (rows.MaxQueryRows > 1)
        {
            LaunchPrefill(fused.DType, heads, rows, arguments);
        }

        // Sequences of one row and sequences of more go to different kernels; each kernel passes over the others'.
        if (rows.MaxQueryRows == 1 || rows.Sequences > 1)
        {
            LaunchDecode(fused.DType, heads, rows, arguments, rotates: false);
        }
    }

    // Dtypes, sizes and alignment that the kernels with tensor cores take.
    private static bool TakesTensorCores(Tensor fused, HeadLayout heads, KvLayerView cache, Tensor output) =>
        fused.DType != DType.F32 && fused.DType == cache.Keys.DType && heads.HeadDim % 8 == 0
        && IsWideRow(fused) && IsWideRow(output) && IsWideRow(cache.Keys) && IsWideRow(cache.Values);

    // Row starts at multiples of 16 bytes; the row's length does not matter.
    private static bool IsWideRow(Tensor tensor) =>
        tensor.Address % 16 == 0 && (long)tensor.RowStride * tensor.DType.SizeInBytes() % 16 == 0;

    private void LaunchPrefill(DType dtype, HeadLayout heads, StepRows rows, CudaArguments.Attention arguments)
    {
        var shape = PrefillShape.For(heads.HeadDim, _device.Capability, _device.SharedMemoryBytes, PrefillMethod);
        var function = _device.Modules.Get(shape.Kernel(dtype), shape.SharedBytes);
        var headsEach = Math.Min(heads.GroupSize, heads.QueryHeads);
        var spread = SpreadOf(shape, rows, headsEach, heads.KeyValueHeads, arguments.Window);
        arguments.Spread = (int)spread;
        var tiles = PrefillTiles(rows, headsEach, RowsOf(spread));
        _device.Launch(function, new CudaGrid(heads.KeyValueHeads, tiles, 1, shape.Threads, shape.SharedBytes), arguments);
    }

    private static int RowsOf(PrefillSpread spread) => spread == Cuda.PrefillSpread.Apart ? PrefillShape.Rows / 2 : PrefillShape.Rows;

    private PrefillSpread SpreadOf(PrefillShape shape, StepRows rows, int headsEach, int kvHeads, int window)
    {
        long Blocks(PrefillSpread spread) => (long)PrefillTiles(rows, headsEach, RowsOf(spread)) * kvHeads;
        var best = shape.Spread(
            Blocks(Cuda.PrefillSpread.Together), Blocks(Cuda.PrefillSpread.Apart), _device.Multiprocessors, window > 0);
        var canBe = shape.Method == Cuda.PrefillMethod.Wgmma && (window == 0 || PrefillSpread != Cuda.PrefillSpread.Mirrored);
        return canBe ? PrefillSpread ?? best : best;
    }

    /// <summary>
    /// At least the tiles of all sequences with more than one row; a tile has rows of one sequence. 2,048 rows with 4 heads a KV head:
    /// 64; 512 rows of one sequence beside 63 sequences of one: at most 575 · 4 / 128 + 64 = 81, and what is too much ends at once.
    /// </summary>
    private static int PrefillTiles(StepRows rows, int headsEach, int tileRows)
    {
        var pairs = (long)rows.Tokens * headsEach;
        var most = Math.Min(rows.Sequences, rows.Tokens / 2);
        var longest = (((long)rows.MaxQueryRows * headsEach) + tileRows - 1) / tileRows;
        return checked((int)Math.Min((pairs / tileRows) + most, most * longest));
    }

    private void LaunchDecode(
        DType dtype, HeadLayout heads, StepRows rows, CudaArguments.Attention arguments, bool rotates)
    {
        var groups = heads.KeyValueHeads * CeilDiv(Math.Min(heads.GroupSize, heads.QueryHeads), 16);
        var contexts = (long)groups * rows.Sequences;
        var cluster = DecodeShape.ClusterBlocks(
            _device.Capability, _device.Multiprocessors, contexts, rows.MaxContext, DecodeJoin ?? DecodeShape.Wanted);
        var join = cluster > 0 ? Cuda.DecodeJoin.Cluster : Cuda.DecodeJoin.Memory;
        var shape = DecodeShape.For(join, heads.HeadDim, _device.SharedMemoryBytes);

        // Where blocks of whole contexts would leave less than two to a multiprocessor they are cut in two: 64 sequences of 2 KV heads, 132.
        var fills = cluster == 0 && (DecodeBlocksEach ?? (2 * contexts > _device.Multiprocessors ? 2 : 1)) > 1;
        shape = fills ? shape with { Blocks = 2 } : shape;
        arguments.Splits = cluster > 0 ? cluster : Splits(rows.MaxContext, contexts, shape);
        arguments.Held = shape.Held(rows.MaxContext, arguments.Splits);
        arguments.Early = rows.MaxQueryRows == 1 && ReadsEarly ? 1 : 0;
        var most = shape.SharedBytes(heads.HeadDim, shape.Stages);
        var function = _device.Modules.Get(CudaKernels.AttentionDecode(dtype, heads.HeadDim, shape, rotates), most, !fills, fills);
        var shared = shape.SharedBytes(heads.HeadDim, arguments.Held);
        var grid = new CudaGrid(
            arguments.Splits, groups, rows.Sequences, shape.Warps * 32, shared, Math.Max(cluster, 1));
        _device.Launch(function, grid, arguments);
    }

    /// <summary>
    /// Parts of a context: enough to fill the device, no part shorter than one tile for each warp. 8 KV heads, one sequence of
    /// 8,192 tokens, 132 multiprocessors: 264 / 8 = 33 parts of 256 tokens.
    /// </summary>
    private int Splits(int maxContext, long blocksOfOnePart, DecodeShape shape)
    {
        var shortest = shape.Warps * DecodeShape.Tokens;
        var fill = Math.Max(1, (shape.Blocks > 1 ? MostDecodeBlocks : DecodeBlocks) / blocksOfOnePart);
        var useful = Math.Max(1, CeilDiv(maxContext, shortest)); // rows that only fill up have a context of 0, but are written
        return (int)Math.Min(Math.Min(fill, useful), DecodeShape.MaxSplits);
    }

    private CudaArguments.Attention AttentionArguments(
        Tensor fused, HeadLayout heads, AttentionOptions options, StepRows rows, KvLayerView cache, Tensor output) => new()
        {
            Query = fused.Address,
            Output = output.Address,
            Keys = cache.Keys.Address,
            Values = cache.Values.Address,
            Positions = rows.Positions.Address,
            RowSequences = rows.RowSequences.Address,
            QueryStarts = rows.QueryStarts.Address,
            BlockTables = rows.BlockTables.Address,
            Partials = _partials.Address,
            Arrivals = _arrivals.Address,
            QueryStride = fused.RowStride,
            OutputStride = output.RowStride,
            TableStride = rows.BlockTables.RowStride,
            QueryStart = heads.QueryStart,
            QueryHeads = heads.QueryHeads,
            KvStart = heads.KeyValueStart,
            KvHeads = heads.KeyValueHeads,
            GroupSize = heads.GroupSize,
            BlockTokens = cache.BlockTokens,
            Window = options.SlidingWindow ?? 0,
            Sequences = rows.Sequences,
            Scale = options.Scale,
            SoftCap = options.LogitSoftCap ?? 0,
        };

    private void CheckAttention(
        Tensor fused, HeadLayout heads, AttentionOptions options, StepRows rows, KvLayerView cache, Tensor output)
    {
        CheckStep(fused, heads, rows, cache);
        CudaOperand.Check(_device, output, fused.DType, rows.Tokens, heads.QueryHeads * heads.HeadDim);
        if (options.SlidingWindow < 1 || options.LogitSoftCap <= 0)
        {
            throw new ArgumentException($"{options} is impossible: window and soft cap must be positive.", nameof(options));
        }

        if (heads.HeadDim > MaxHeadDim)
        {
            throw new ArgumentException($"Heads of {heads.HeadDim} are larger than {MaxHeadDim}.", nameof(heads));
        }
    }

    private void CheckStep(Tensor fused, HeadLayout heads, StepRows rows, KvLayerView cache)
    {
        if (heads.QueryHeads < 1 || heads.KeyValueHeads < 1 || heads.GroupSize < 1 || heads.HeadDim < 2
            || heads.HeadDim % 2 != 0 || heads.QueryStart < 0 || heads.KeyValueStart < 0
            || heads.KeyValueHeadOf(0) < 0 || heads.KeyValueHeadOf(heads.QueryHeads - 1) >= heads.KeyValueHeads)
        {
            throw new ArgumentException($"{heads} is impossible: each query head needs its KV head on this rank.", nameof(heads));
        }

        CudaOperand.CheckFloat(_device, fused, rows.Tokens, heads.FusedColumns);
        CudaOperand.Check(_device, rows.Positions, DType.I32, 1, rows.Tokens);
        CudaOperand.Check(_device, rows.RowSequences, DType.I32, 1, rows.Tokens);
        CudaOperand.Check(_device, rows.QueryStarts, DType.I32, 1, rows.Sequences + 1);
        CudaOperand.Check(_device, rows.BlockTables, DType.I32, rows.Sequences, rows.BlockTables.Columns);
        if (cache.Heads != heads.KeyValueHeads || cache.HeadDim != heads.HeadDim || cache.BlockTokens < 1)
        {
            throw new ArgumentException(
                $"The cache has {cache.Heads} heads of {cache.HeadDim}, the layer {heads.KeyValueHeads} of {heads.HeadDim}.",
                nameof(cache));
        }

        CudaOperand.CheckFloat(_device, cache.Keys, cache.Keys.Rows, cache.HeadDim);
        CudaOperand.Check(_device, cache.Values, cache.Keys.DType, cache.Keys.Rows, cache.HeadDim);
        if (cache.Keys.RowStride != cache.HeadDim || cache.Values.RowStride != cache.HeadDim
            || cache.Keys.Rows % (cache.Heads * cache.BlockTokens) != 0)
        {
            throw new ArgumentException("Keys and values must be dense and hold whole blocks.", nameof(cache));
        }
    }
}
