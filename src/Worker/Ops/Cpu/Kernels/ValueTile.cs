using System.Runtime.CompilerServices;

namespace TensorParallel.Worker.Ops.Cpu.Kernels;

/// <summary>sums[m, d] += Σ_t p[m, t] · v[t, d]: four queries by two registers of a head, tokens in order.</summary>
internal static unsafe class ValueTile<TV, TE>
    where TV : struct, ILanes<TV>
    where TE : struct, IElement
{
    /// <summary>Adds <paramref name="tokens"/> value rows to four queries' sums.</summary>
    /// <param name="p">Weights of the first query at the first token; queries are ChunkTokens apart.</param>
    /// <param name="values">First value row.</param>
    /// <param name="stride">Bytes from one value row to the next.</param>
    /// <param name="tokens">Value rows.</param>
    /// <param name="sums">First query's sums.</param>
    /// <param name="dim">Floats from one query's sums to the next; a multiple of two registers.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Run(float* p, byte* values, long stride, int tokens, float* sums, int dim)
    {
        for (var d = 0; d < dim; d += 2 * TV.Count)
        {
            var s0 = sums + d;
            var s1 = s0 + dim;
            var s2 = s1 + dim;
            var s3 = s2 + dim;
            TV a0 = TV.Load(s0), a1 = TV.Load(s1), a2 = TV.Load(s2), a3 = TV.Load(s3);
            TV b0 = TV.Load(s0 + TV.Count), b1 = TV.Load(s1 + TV.Count);
            TV b2 = TV.Load(s2 + TV.Count), b3 = TV.Load(s3 + TV.Count);
            var from = values + ((long)d * TE.Bytes);
            for (var t = 0; t < tokens; t++, from += stride)
            {
                var v0 = TE.Load<TV>(from);
                var v1 = TE.Load<TV>(from + (TV.Count * TE.Bytes));
                var weight = TV.Broadcast(p[t]);
                a0 = TV.Fma(weight, v0, a0);
                b0 = TV.Fma(weight, v1, b0);
                weight = TV.Broadcast(p[t + AttentionJob.ChunkTokens]);
                a1 = TV.Fma(weight, v0, a1);
                b1 = TV.Fma(weight, v1, b1);
                weight = TV.Broadcast(p[t + (2 * AttentionJob.ChunkTokens)]);
                a2 = TV.Fma(weight, v0, a2);
                b2 = TV.Fma(weight, v1, b2);
                weight = TV.Broadcast(p[t + (3 * AttentionJob.ChunkTokens)]);
                a3 = TV.Fma(weight, v0, a3);
                b3 = TV.Fma(weight, v1, b3);
            }

            TV.Store(a0, s0);
            TV.Store(b0, s0 + TV.Count);
            TV.Store(a1, s1);
            TV.Store(b1, s1 + TV.Count);
            TV.Store(a2, s2);
            TV.Store(b2, s2 + TV.Count);
            TV.Store(a3, s3);
            TV.Store(b3, s3 + TV.Count);
        }
    }
}
