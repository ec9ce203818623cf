using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace TensorParallel.Worker.Ops.Cpu.Kernels;

/// <summary>
/// Dot products of four weight rows with M packed token rows, every sum in one register: sums[4m + r] = Σ x_m · w_r.
/// Weights are read where they lie, widened in registers; x is packed [step][m][lane], so it is one stream. Six tokens
/// want 24 sums + 4 weights + 1 x = 29 of AVX-512's 32 registers; with 16 registers (AVX2) two tokens are the most.
/// Each sum adds its steps in order whatever M is: a row's result does not depend on the rows beside it.
/// <para>
/// While it works on its rows a tile asks for the next tile's, first row first: memory then sees one stream from the
/// first byte to the last, where the hardware by itself would start anew at each of four rows every 4 KiB.
/// </para>
/// </summary>
internal static unsafe class DotTile<TV, TE>
    where TV : struct, ILanes<TV>
    where TE : struct, IElement
{
    /// <summary>Most tokens of a tile.</summary>
    public static int MaxTokens => TV.Count == 16 ? 6 : 2;

    /// <summary>Runs the tile of <paramref name="tokens"/> (1, 2, 4 or 6) tokens.</summary>
    /// <param name="tokens">M.</param>
    /// <param name="w">First of the weight rows.</param>
    /// <param name="next">First of four stretches to fetch meanwhile, each as long as a row; a hint, need not
    /// exist.</param>
    /// <param name="nextStride">Bytes from one of those to the next.</param>
    /// <param name="stride">Bytes from one row to the next.</param>
    /// <param name="rows">Rows there are, 1 … 4; the missing ones repeat the last and their sums mean nothing.</param>
    /// <param name="x">Packed tokens.</param>
    /// <param name="steps">Registers full of elements to go through.</param>
    /// <param name="sums">Target, 4M floats.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Run(
        int tokens, byte* w, byte* next, long nextStride, long stride, int rows, float* x, int steps,
        float* sums)
    {
        var w1 = rows > 1 ? w + stride : w;
        var w2 = rows > 2 ? w1 + stride : w1;
        var w3 = rows > 3 ? w2 + stride : w2;
        switch (tokens)
        {
            case 1:
                Run1(w, w1, w2, w3, x, steps, next, nextStride, sums);
                break;
            case 2:
                Run2(w, w1, w2, w3, x, steps, next, nextStride, sums);
                break;
            case 4:
                Run4(w, w1, w2, w3, x, steps, next, nextStride, sums);
                break;
            case 6:
                Run6(w, w1, w2, w3, x, steps, next, nextStride, sums);
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(tokens), tokens, "A tile has 1, 2, 4 or 6 tokens.");
        }
    }

    /// <summary>
    /// One token and two rows; sums[0] and sums[1]. Same order of additions as <see cref="Run"/>; while it works it fetches
    /// two stretches from <paramref name="next"/> on.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void RunPair(byte* w0, byte* w1, float* x, int steps, byte* next, long nextStride, float* sums)
    {
        TV a0 = default, a1 = default;
        for (int step = 0, half = 1; half <= 2; half++, next += nextStride)
        {
            var ahead = next;
            for (var end = steps * half / 2; step < end; step++, ahead += 2 * TV.Count * TE.Bytes)
            {
                Prefetch(ahead, 2 * TV.Count * TE.Bytes);
                var t = TV.Load(x);
                (a0, a1) = (TV.Fma(TE.Load<TV>(w0), t, a0), TV.Fma(TE.Load<TV>(w1), t, a1));
                x += TV.Count;
                w0 += TV.Count * TE.Bytes;
                w1 += TV.Count * TE.Bytes;
            }
        }

        TV.SumEach(a0, a1, a0, a1).Store(sums);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Run1(
        byte* w0, byte* w1, byte* w2, byte* w3, float* x, int steps, byte* next, long nextStride, float* sums)
    {
        TV a0 = default, a1 = default, a2 = default, a3 = default;
        for (int step = 0, quarter = 1; quarter <= 4; quarter++, next += nextStride)
        {
            var ahead = next;
            for (var end = steps * quarter / 4; step < end; step++, ahead += 4 * TV.Count * TE.Bytes)
            {
                Prefetch(ahead, 4 * TV.Count * TE.Bytes);
                TV r0 = TE.Load<TV>(w0), r1 = TE.Load<TV>(w1), r2 = TE.Load<TV>(w2), r3 = TE.Load<TV>(w3);
                var t = TV.Load(x);
                (a0, a1) = (TV.Fma(r0, t, a0), TV.Fma(r1, t, a1));
                (a2, a3) = (TV.Fma(r2, t, a2), TV.Fma(r3, t, a3));
                x += TV.Count;
                w0 += TV.Count * TE.Bytes;
                w1 += TV.Count * TE.Bytes;
                w2 += TV.Count * TE.Bytes;
                w3 += TV.Count * TE.Bytes;
            }
        }

        TV.SumEach(a0, a1, a2, a3).Store(sums);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Run2(
        byte* w0, byte* w1, byte* w2, byte* w3, float* x, int steps, byte* next, long nextStride, float* sums)
    {
        TV a0 = default, a1 = default, a2 = default, a3 = default;
        TV b0 = default, b1 = default, b2 = default, b3 = default;
        for (int step = 0, quarter = 1; quarter <= 4; quarter++, next += nextStride)
        {
            var ahead = next;
            for (var end = steps * quarter / 4; step < end; step++, ahead += 4 * TV.Count * TE.Bytes)
            {
                Prefetch(ahead, 4 * TV.Count * TE.Bytes);
                TV r0 = TE.Load<TV>(w0), r1 = TE.Load<TV>(w1), r2 = TE.Load<TV>(w2), r3 = TE.Load<TV>(w3);
                var t = TV.Load(x);
                (a0, a1) = (TV.Fma(r0, t, a0), TV.Fma(r1, t, a1));
                (a2, a3) = (TV.Fma(r2, t, a2), TV.Fma(r3, t, a3));
                t = TV.Load(x + TV.Count);
                (b0, b1) = (TV.Fma(r0, t, b0), TV.Fma(r1, t, b1));
                (b2, b3) = (TV.Fma(r2, t, b2), TV.Fma(r3, t, b3));
                x += 2 * TV.Count;
                w0 += TV.Count * TE.Bytes;
                w1 += TV.Count * TE.Bytes;
                w2 += TV.Count * TE.Bytes;
                w3 += TV.Count * TE.Bytes;
            }
        }

        TV.SumEach(a0, a1, a2, a3).Store(sums);
        TV.SumEach(b0, b1, b2, b3).Store(sums + 4);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Run4(
        byte* w0, byte* w1, byte* w2, byte* w3, float* x, int steps, byte* next, long nextStride, float* sums)
    {
        TV a0 = default, a1 = default, a2 = default, a3 = default;
        TV b0 = default, b1 = default, b2 = default, b3 = default;
        TV c0 = default, c1 = default, c2 = default, c3 = default;
        TV d0 = default, d1 = default, d2 = default, d3 = default;
        for (int step = 0, quarter = 1; quarter <= 4; quarter++, next += nextStride)
        {
            var ahead = next;
            for (var end = steps * quarter / 4; step < end; step++, ahead += 4 * TV.Count * TE.Bytes)
            {
                Prefetch(ahead, 4 * TV.Count * TE.Bytes);
                TV r0 = TE.Load<TV>(w0), r1 = TE.Load<TV>(w1), r2 = TE.Load<TV>(w2), r3 = TE.Load<TV>(w3);
                var t = TV.Load(x);
                (a0, a1) = (TV.Fma(r0, t, a0), TV.Fma(r1, t, a1));
                (a2, a3) = (TV.Fma(r2, t, a2), TV.Fma(r3, t, a3));
                t = TV.Load(x + TV.Count);
                (b0, b1) = (TV.Fma(r0, t, b0), TV.Fma(r1, t, b1));
                (b2, b3) = (TV.Fma(r2, t, b2), TV.Fma(r3, t, b3));
                t = TV.Load(x + (2 * TV.Count));
                (c0, c1) = (TV.Fma(r0, t, c0), TV.Fma(r1, t, c1));
                (c2, c3) = (TV.Fma(r2, t, c2), TV.Fma(r3, t, c3));
                t = TV.Load(x + (3 * TV.Count));
                (d0, d1) = (TV.Fma(r0, t, d0), TV.Fma(r1, t, d1));
                (d2, d3) = (TV.Fma(r2, t, d2), TV.Fma(r3, t, d3));
                x += 4 * TV.Count;
                w0 += TV.Count * TE.Bytes;
                w1 += TV.Count * TE.Bytes;
                w2 += TV.Count * TE.Bytes;
                w3 += TV.Count * TE.Bytes;
            }
        }

        TV.SumEach(a0, a1, a2, a3).Store(sums);
        TV.SumEach(b0, b1, b2, b3).Store(sums + 4);
        TV.SumEach(c0, c1, c2, c3).Store(sums + 8);
        TV.SumEach(d0, d1, d2, d3).Store(sums + 12);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Run6(
        byte* w0, byte* w1, byte* w2, byte* w3, float* x, int steps, byte* next, long nextStride, float* sums)
    {
        TV a0 = default, a1 = default, a2 = default, a3 = default;
        TV b0 = default, b1 = default, b2 = default, b3 = default;
        TV c0 = default, c1 = default, c2 = default, c3 = default;
        TV d0 = default, d1 = default, d2 = default, d3 = default;
        TV e0 = default, e1 = default, e2 = default, e3 = default;
        TV f0 = default, f1 = default, f2 = default, f3 = default;
        for (int step = 0, quarter = 1; quarter <= 4; quarter++, next += nextStride)
        {
            var ahead = next;
            for (var end = steps * quarter / 4; step < end; step++, ahead += 4 * TV.Count * TE.Bytes)
            {
                Prefetch(ahead, 4 * TV.Count * TE.Bytes);
                TV r0 = TE.Load<TV>(w0), r1 = TE.Load<TV>(w1), r2 = TE.Load<TV>(w2), r3 = TE.Load<TV>(w3);
                var t = TV.Load(x);
                (a0, a1) = (TV.Fma(r0, t, a0), TV.Fma(r1, t, a1));
                (a2, a3) = (TV.Fma(r2, t, a2), TV.Fma(r3, t, a3));
                t = TV.Load(x + TV.Count);
                (b0, b1) = (TV.Fma(r0, t, b0), TV.Fma(r1, t, b1));
                (b2, b3) = (TV.Fma(r2, t, b2), TV.Fma(r3, t, b3));
                t = TV.Load(x + (2 * TV.Count));
                (c0, c1) = (TV.Fma(r0, t, c0), TV.Fma(r1, t, c1));
                (c2, c3) = (TV.Fma(r2, t, c2), TV.Fma(r3, t, c3));
                t = TV.Load(x + (3 * TV.Count));
                (d0, d1) = (TV.Fma(r0, t, d0), TV.Fma(r1, t, d1));
                (d2, d3) = (TV.Fma(r2, t, d2), TV.Fma(r3, t, d3));
                t = TV.Load(x + (4 * TV.Count));
                (e0, e1) = (TV.Fma(r0, t, e0), TV.Fma(r1, t, e1));
                (e2, e3) = (TV.Fma(r2, t, e2), TV.Fma(r3, t, e3));
                t = TV.Load(x + (5 * TV.Count));
                (f0, f1) = (TV.Fma(r0, t, f0), TV.Fma(r1, t, f1));
                (f2, f3) = (TV.Fma(r2, t, f2), TV.Fma(r3, t, f3));
                x += 6 * TV.Count;
                w0 += TV.Count * TE.Bytes;
                w1 += TV.Count * TE.Bytes;
                w2 += TV.Count * TE.Bytes;
                w3 += TV.Count * TE.Bytes;
            }
        }

        TV.SumEach(a0, a1, a2, a3).Store(sums);
        TV.SumEach(b0, b1, b2, b3).Store(sums + 4);
        TV.SumEach(c0, c1, c2, c3).Store(sums + 8);
        TV.SumEach(d0, d1, d2, d3).Store(sums + 12);
        TV.SumEach(e0, e1, e2, e3).Store(sums + 16);
        TV.SumEach(f0, f1, f2, f3).Store(sums + 20);
    }

    /// <summary>Asks for the lines of the next 32 to 256 bytes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Prefetch(byte* next, int bytes)
    {
        if (Sse.IsSupported)
        {
            Sse.Prefetch0(next);
            if (bytes > 64)
            {
                Sse.Prefetch0(next + 64);
            }

            if (bytes > 128)
            {
                Sse.Prefetch0(next + 128);
                Sse.Prefetch0(next + 192);
            }
        }
    }
}
