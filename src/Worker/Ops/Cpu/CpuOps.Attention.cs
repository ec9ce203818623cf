using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops.Cpu.Kernels;

namespace TensorParallel.Worker.Ops.Cpu;

internal sealed unsafe partial class CpuOps
{
    public void Attention(
        Tensor fused, HeadLayout heads, AttentionOptions options, StepRows rows, KvLayerView cache, Tensor output)
    {
        CheckHeads(heads);
        CheckRows(rows);
        Operand.Check(_device, fused, DType.F32, rows.Tokens, heads.FusedColumns);
        Operand.Check(_device, output, DType.F32, rows.Tokens, heads.QueryHeads * heads.HeadDim);
        CheckCache(heads, cache);
        CheckOptions(options);
        CheckBlocks(rows, cache, options.SlidingWindow ?? int.MaxValue);
        if (rows.Tokens == 0)
        {
            return;
        }

        ClearFillers(rows, output);
        var job = new AttentionJob
        {
            Fused = Row(fused, 0),
            FusedStride = fused.RowStride,
            Heads = heads,
            Options = options,
            Positions = (int*)rows.Positions.Address,
            BlockTables = (int*)rows.BlockTables.Address,
            BlockTableStride = rows.BlockTables.RowStride,
            Keys = (byte*)cache.Keys.Address,
            Values = (byte*)cache.Values.Address,
            CacheDType = cache.Keys.DType,
            BlockTokens = cache.BlockTokens,
            Output = Row(output, 0),
            OutputStride = output.RowStride,
        };
        if (rows.MaxQueryRows == 1 && rows.MaxContext > AttentionJob.ChunkTokens)
        {
            AttendByParts(job, rows);
        }
        else
        {
            AttendByBlocks(job, rows);
        }
    }

    /// <summary>
    /// Decode over long contexts: a part is one row, one KV head and one chunk, so that a single row of a few heads
    /// keeps all threads busy; a second pass joins the chunks.
    /// </summary>
    private void AttendByParts(in AttentionJob job, StepRows rows)
    {
        var queries = MostQueries(job, 1);
        var dim = _kernels.PaddedDim(job.Heads.HeadDim);
        long stride = AttentionScratch.PartialFloats(queries, dim);
        var table = (long)(rows.Tokens + 1) * sizeof(int);
        table = (table + 63) / 64 * 64;
        var count = 0;
        for (var row = 0; row < rows.Tokens; row++)
        {
            count += Chunks(job, row).Count * job.Heads.KeyValueHeads;
        }

        var memory = (byte*)_shared.Demand(table + (count * stride * sizeof(float)));
        var starts = (int*)memory;
        starts[0] = 0;
        for (var row = 0; row < rows.Tokens; row++)
        {
            starts[row + 1] = starts[row] + (Chunks(job, row).Count * job.Heads.KeyValueHeads);
        }

        var work = new PartsWork(
            _kernels, job, (int*)rows.RowSequences.Address, starts, (float*)(memory + table), stride,
            PerThread(queries, dim));
        _device.Threads.Run(count, work);
        _device.Threads.Run(rows.Tokens * job.Heads.KeyValueHeads, new JoinWork(work));
    }

    /// <summary>A part is a block of a sequence's rows and one KV head, over the whole context.</summary>
    private void AttendByBlocks(in AttentionJob job, StepRows rows)
    {
        var blockRows = Math.Max(1, AttentionJob.BlockQueries / MostQueries(job, 1));
        var queries = MostQueries(job, Math.Min(blockRows, rows.Tokens));
        var sequenceStarts = Integers(rows.QueryStarts);
        var blockStarts = (int*)_shared.Demand((rows.Sequences + 1L) * sizeof(int));
        blockStarts[0] = 0;
        for (var s = 0; s < rows.Sequences; s++)
        {
            var blocks = (sequenceStarts[s + 1] - sequenceStarts[s] + blockRows - 1) / blockRows;
            blockStarts[s + 1] = blockStarts[s] + blocks;
        }

        var perThread = PerThread(queries, _kernels.PaddedDim(job.Heads.HeadDim));
        var starts = (int*)rows.QueryStarts.Address;
        var work = new BlockWork(_kernels, job, starts, blockStarts, rows.Sequences, blockRows, perThread);
        _device.Threads.Run(blockStarts[rows.Sequences] * job.Heads.KeyValueHeads, work);
    }

    /// <summary>Most query vectors that <paramref name="rows"/> rows have for one KV head of this rank.</summary>
    private static int MostQueries(in AttentionJob job, int rows) =>
        rows * Math.Min(job.Heads.GroupSize, job.Heads.QueryHeads);

    private static (int First, int Count) Chunks(in AttentionJob job, int row)
    {
        var position = job.Positions[row];
        if (position < 0)
        {
            return (0, 0);
        }

        var first = job.FirstVisible(position) / AttentionJob.ChunkTokens;
        return (first, (position / AttentionJob.ChunkTokens) + 1 - first);
    }

    private static void ClearFillers(StepRows rows, Tensor output)
    {
        var positions = Integers(rows.Positions);
        for (var row = positions.IndexOf(-1); row >= 0 && row < positions.Length; row++)
        {
            if (positions[row] < 0)
            {
                new Span<float>(Row(output, row), output.Columns).Clear();
            }
        }
    }

    private ThreadScratch PerThread(int queries, int dim)
    {
        long floats = AttentionScratch.Floats(queries, dim);
        var memory = _perThread.Demand(floats * sizeof(float) * _device.Threads.Count);
        return new ThreadScratch((float*)memory, floats);
    }

    private readonly struct ThreadScratch(float* memory, long floats)
    {
        public float* Of(int thread) => memory + (thread * floats);
    }

    private readonly struct BlockWork(
        CpuKernels kernels, AttentionJob job, int* starts, int* blockStarts, int sequences, int blockRows,
        ThreadScratch scratch) : ICpuWork
    {
        private readonly AttentionJob _job = job;

        public void Run(int part, int thread)
        {
            // Late blocks see the most context: they go first, so that threads end together.
            var heads = _job.Heads.KeyValueHeads;
            var block = blockStarts[sequences] - 1 - (part / heads);
            var sequence = 0;
            while (blockStarts[sequence + 1] <= block)
            {
                sequence++;
            }

            var row = starts[sequence] + ((block - blockStarts[sequence]) * blockRows);
            var rows = Math.Min(blockRows, starts[sequence + 1] - row);
            if (_job.Positions[row] < 0)
            {
                return;
            }

            kernels.AttendBlock(_job, new AttentionItem(sequence, row, rows, part % heads), scratch.Of(thread));
        }
    }

    private readonly struct PartsWork(
        CpuKernels kernels, AttentionJob job, int* sequences, int* starts, float* partials, long stride,
        ThreadScratch scratch) : ICpuWork
    {
        private readonly AttentionJob _job = job;

        public void Run(int part, int thread)
        {
            var row = 0;
            while (starts[row + 1] <= part)
            {
                row++;
            }

            var (first, count) = Chunks(_job, row);
            var (head, chunk) = ((part - starts[row]) / count, (part - starts[row]) % count);
            var item = new AttentionItem(sequences[row], row, 1, head);
            kernels.AttendPart(_job, item, first + chunk, scratch.Of(thread), partials + (part * stride));
        }

        public void Join(int row, int head, int thread)
        {
            var count = Chunks(_job, row).Count;
            if (count == 0)
            {
                return;
            }

            var parts = partials + ((starts[row] + ((long)head * count)) * stride);
            var item = new AttentionItem(sequences[row], row, 1, head);
            kernels.JoinParts(_job, item, parts, count, stride, scratch.Of(thread));
        }

        public int Heads => _job.Heads.KeyValueHeads;
    }

    private readonly struct JoinWork(PartsWork parts) : ICpuWork
    {
        public void Run(int part, int thread) => parts.Join(part / parts.Heads, part % parts.Heads, thread);
    }
}
