using System.Runtime.CompilerServices;

namespace TensorParallel.Worker.Ops.Cpu.Kernels;

/// <summary>
/// Joins partial results of attention: sums [queries, dim], then a maximum and a sum of weights a query.
/// </summary>
internal static unsafe class AttentionJoin<TV>
    where TV : struct, ILanes<TV>
{
    /// <summary>Head size padded to two registers.</summary>
    public static int PaddedDim(int headDim) => (headDim + (2 * TV.Count) - 1) / (2 * TV.Count) * (2 * TV.Count);

    /// <summary>Makes <paramref name="total"/> the result over no context.</summary>
    public static void Begin(float* total, int queries, int dim)
    {
        var rows = AttentionScratch.Rows(queries);
        new Span<float>(total, rows * dim).Clear();
        new Span<float>(total + (rows * dim), rows).Fill(float.NegativeInfinity);
        new Span<float>(total + (rows * dim) + rows, rows).Clear();
    }

    /// <summary>Adds a chunk's result to the total.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Add(float* total, float* chunk, int queries, int dim)
    {
        var rows = AttentionScratch.Rows(queries);
        var totalMaxima = total + (rows * dim);
        var chunkMaxima = chunk + (rows * dim);
        for (var q = 0; q < queries; q++)
        {
            var (old, fresh) = (totalMaxima[q], chunkMaxima[q]);
            if (fresh == float.NegativeInfinity)
            {
                continue;
            }

            var maximum = Math.Max(old, fresh);
            var (keep, add) = (MathF.Exp(old - maximum), MathF.Exp(fresh - maximum));
            totalMaxima[q] = maximum;
            totalMaxima[rows + q] = (totalMaxima[rows + q] * keep) + (chunkMaxima[rows + q] * add);
            var (keeps, adds) = (TV.Broadcast(keep), TV.Broadcast(add));
            for (var d = q * dim; d < (q + 1) * dim; d += TV.Count)
            {
                TV.Store(TV.Fma(TV.Load(total + d), keeps, TV.Load(chunk + d) * adds), total + d);
            }
        }
    }

    /// <summary>output = sums / sum of weights.</summary>
    public static void Write(in AttentionJob job, AttentionItem item, float* total, int queries, int dim)
    {
        var size = job.Heads.HeadDim;
        var heads = queries / item.Rows;
        var firstHead = job.FirstQueryHead(item.KvHead);
        var weights = total + (AttentionScratch.Rows(queries) * (dim + 1));
        for (var q = 0; q < queries; q++)
        {
            var factor = 1f / weights[q];
            var output = job.Output + ((item.FirstRow + (q / heads)) * job.OutputStride);
            output += (firstHead + (q % heads)) * size;
            var sums = total + (q * dim);
            for (var d = 0; d < size; d++)
            {
                output[d] = sums[d] * factor;
            }
        }
    }

    /// <summary>Joins the parts of one item, chunk after chunk, and writes the output.</summary>
    public static void Parts(
        in AttentionJob job, AttentionItem item, float* parts, int count, long stride, float* memory)
    {
        var heads = job.FirstQueryHead(item.KvHead + 1) - job.FirstQueryHead(item.KvHead);
        var (queries, dim) = (item.Rows * heads, PaddedDim(job.Heads.HeadDim));
        var total = new AttentionScratch(memory, queries, dim).Total;
        Begin(total, queries, dim);
        for (var i = 0; i < count; i++)
        {
            Add(total, parts + (i * stride), queries, dim);
        }

        Write(job, item, total, queries, dim);
    }
}
