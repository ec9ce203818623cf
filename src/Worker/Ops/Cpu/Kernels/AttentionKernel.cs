using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace TensorParallel.Worker.Ops.Cpu.Kernels;

/// <summary>
/// Attention of the queries of some rows that share a KV head, chunk by chunk of the context, so that keys and values
/// are read once for all of them:
/// <code>
///   chunk c:  S = Q · Kᵀ [queries, 256]   m_c = max S   P = e^(S − m_c)   l_c = Σ P   O_c = P · V
///   joined:   m = max(m, m_c)   O = O · e^(m_old − m) + O_c · e^(m_c − m)   l likewise;   output = O / l
/// </code>
/// Query q is row q / heads, head q % heads of the KV head's group.
/// </summary>
internal static unsafe class AttentionKernel<TV, TE>
    where TV : struct, ILanes<TV>
    where TE : struct, IElement
{
    /// <summary>Attends over the whole context and writes the output.</summary>
    public static void Block(in AttentionJob job, AttentionItem item, float* memory)
    {
        var (queries, dim) = Sizes(job, item);
        var scratch = new AttentionScratch(memory, queries, dim);
        PackQueries(job, item, scratch, queries, dim);
        var (first, end) = Visible(job, item);
        AttentionJoin<TV>.Begin(scratch.Total, queries, dim);
        for (var chunk = first / AttentionJob.ChunkTokens; chunk * AttentionJob.ChunkTokens < end; chunk++)
        {
            Chunk(job, item, chunk, scratch, scratch.Result);
            AttentionJoin<TV>.Add(scratch.Total, scratch.Result, queries, dim);
        }

        AttentionJoin<TV>.Write(job, item, scratch.Total, queries, dim);
    }

    /// <summary>
    /// Attends over one chunk of the context and leaves the partial result in <paramref name="partial"/>.
    /// </summary>
    public static void Part(in AttentionJob job, AttentionItem item, int chunk, float* memory, float* partial)
    {
        var (queries, dim) = Sizes(job, item);
        var scratch = new AttentionScratch(memory, queries, dim);
        PackQueries(job, item, scratch, queries, dim);
        Chunk(job, item, chunk, scratch, partial);
    }

    private static (int Queries, int Dim) Sizes(in AttentionJob job, AttentionItem item)
    {
        var heads = job.FirstQueryHead(item.KvHead + 1) - job.FirstQueryHead(item.KvHead);
        return (item.Rows * heads, AttentionJoin<TV>.PaddedDim(job.Heads.HeadDim));
    }

    /// <summary>Context positions that at least one row sees.</summary>
    private static (int First, int End) Visible(in AttentionJob job, AttentionItem item)
    {
        var (first, end) = (int.MaxValue, 0);
        for (var row = item.FirstRow; row < item.FirstRow + item.Rows; row++)
        {
            first = Math.Min(first, job.FirstVisible(job.Positions[row]));
            end = Math.Max(end, job.Positions[row] + 1);
        }

        return (first, end);
    }

    private static void PackQueries(
        in AttentionJob job, AttentionItem item, AttentionScratch scratch, int queries, int dim)
    {
        var size = job.Heads.HeadDim;
        var firstHead = job.FirstQueryHead(item.KvHead);
        var heads = queries / item.Rows;
        var plain = scratch.Result;
        for (var q = 0; q < queries; q++)
        {
            var row = job.Fused + ((item.FirstRow + (q / heads)) * job.FusedStride);
            var target = new Span<float>(plain + (q * dim), dim);
            new ReadOnlySpan<float>(row + ((firstHead + (q % heads)) * size), size).CopyTo(target);
            target[size..].Clear();
        }

        for (int q = 0, group; q < queries; q += group)
        {
            group = TokenPacking<TV>.GroupRows(queries - q);
            TokenPacking<TV>.Pack(plain + (q * dim), dim, queries - q, dim, scratch.Packed + (q * dim), group);
        }
    }

    private static void Chunk(
        in AttentionJob job, AttentionItem item, int chunk, AttentionScratch scratch, float* result)
    {
        var (queries, dim) = Sizes(job, item);
        var (first, end) = Visible(job, item);
        var start = chunk * AttentionJob.ChunkTokens;
        first = Math.Max(first, start);
        end = Math.Min(end, start + AttentionJob.ChunkTokens);
        CacheFetch<TE>.Run(job, item, job.Keys, first, first + CacheFetch<TE>.TokensAhead, end);
        for (int p = first, tokens; p < end; p += tokens)
        {
            tokens = Math.Min(end - p, job.BlockTokens - (p % job.BlockTokens));
            var keys = job.Keys + (job.CacheIndex(item.Sequence, item.KvHead, p) * TE.Bytes);
            var ahead = p + CacheFetch<TE>.TokensAhead;
            CacheFetch<TE>.Run(job, item, job.Keys, ahead, ahead + tokens, end);
            CacheFetch<TE>.Run(job, item, job.Values, p, p + tokens, end);
            Scores(keys, job.Heads.HeadDim, tokens, scratch, queries, dim, scratch.Scores + (p - start));
        }

        Weigh(job, item, start, end, scratch.Scores, result + (AttentionScratch.Rows(queries) * dim), queries);
        new Span<float>(result, (queries + 3) / 4 * 4 * dim).Clear();
        for (int p = first, tokens; p < end; p += tokens)
        {
            tokens = Math.Min(end - p, job.BlockTokens - (p % job.BlockTokens));
            var values = job.Values + (job.CacheIndex(item.Sequence, item.KvHead, p) * TE.Bytes);
            Sums(values, job.Heads.HeadDim, tokens, scratch, queries, dim, scratch.Scores + (p - start), result);
        }
    }

    private static void Scores(
        byte* keys, int size, int tokens, AttentionScratch scratch, int queries, int dim, float* scores)
    {
        if (size == dim)
        {
            Dots<TE>(keys, size * TE.Bytes, tokens, scratch, queries, dim, scores);
        }
        else
        {
            Pad(keys, size, tokens, scratch.Cache, dim);
            Dots<F32Element>((byte*)scratch.Cache, dim * sizeof(float), tokens, scratch, queries, dim, scores);
        }
    }

    private static void Sums(
        byte* values, int size, int tokens, AttentionScratch scratch, int queries, int dim, float* weights,
        float* result)
    {
        var padded = size != dim;
        if (padded)
        {
            Pad(values, size, tokens, scratch.Cache, dim);
        }

        for (var q = 0; q < queries; q += 4)
        {
            var p = weights + (q * AttentionJob.ChunkTokens);
            var sums = result + (q * dim);
            if (padded)
            {
                ValueTile<TV, F32Element>.Run(p, (byte*)scratch.Cache, dim * sizeof(float), tokens, sums, dim);
            }
            else
            {
                ValueTile<TV, TE>.Run(p, values, size * TE.Bytes, tokens, sums, dim);
            }
        }
    }

    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Dots<TKey>(
        byte* keys, int stride, int tokens, AttentionScratch scratch, int queries, int dim, float* scores)
        where TKey : struct, IElement
    {
        var sums = stackalloc float[24];
        for (int q = 0, group; q < queries; q += group)
        {
            group = TokenPacking<TV>.GroupRows(queries - q);
            var count = Math.Min(group, queries - q);
            for (var t = 0; t < tokens; t += 4)
            {
                var rows = Math.Min(4, tokens - t);
                var packed = scratch.Packed + (q * dim);
                var w = keys + ((long)t * stride);
                DotTile<TV, TKey>.Run(group, w, w + (4L * stride), stride, stride, rows, packed, dim / TV.Count, sums);
                var target = scores + (q * AttentionJob.ChunkTokens) + t;
                for (var m = 0; m < count; m++, target += AttentionJob.ChunkTokens)
                {
                    if (rows == 4)
                    {
                        Vector128.Load(sums + (4 * m)).Store(target);
                        continue;
                    }

                    new ReadOnlySpan<float>(sums + (4 * m), rows).CopyTo(new Span<float>(target, rows));
                }
            }
        }
    }

    /// <summary>Softmax of each query's scores; positions that a row does not see get weight 0.</summary>
    private static void Weigh(
        in AttentionJob job, AttentionItem item, int start, int end, float* scores, float* maxima, int queries)
    {
        var heads = queries / item.Rows;
        var rows = AttentionScratch.Rows(queries);
        var count = TokenPacking<TV>.PaddedColumns(Math.Max(0, end - start));
        for (var q = 0; q < queries; q++)
        {
            var position = job.Positions[item.FirstRow + (q / heads)];
            var first = Math.Clamp(job.FirstVisible(position) - start, 0, AttentionJob.ChunkTokens);
            var last = Math.Min(position + 1, end) - start;
            (maxima[q], maxima[rows + q]) =
                Softmax<TV>.Run(scores + (q * AttentionJob.ChunkTokens), count, first, last, job.Options);
        }

        // Sums are made for four queries at a time.
        for (var q = queries; q % 4 != 0; q++)
        {
            new Span<float>(scores + (q * AttentionJob.ChunkTokens), count).Clear();
        }
    }

    private static void Pad(byte* source, int size, int tokens, float* target, int dim)
    {
        for (var t = 0; t < tokens; t++, target += dim)
        {
            WeightRowKernels<TV, TE>.Widen(source + ((long)t * size * TE.Bytes), target, size);
            new Span<float>(target + size, dim - size).Clear();
        }
    }
}
