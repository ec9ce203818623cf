using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace TensorParallel.Worker.Ops.Cpu;

/// <summary>
/// Philox4x32-10, the counter-based generator of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1,
/// 2, 3" (SC11): ten rounds turn a counter of four words and a key of two into four random words. No state, so any rank
/// can compute any word.
/// </summary>
internal static class Philox4x32
{
    private const int Rounds = 10;
    private const uint M0 = 0xD2511F53;
    private const uint M1 = 0xCD9E8D57;
    private const uint W0 = 0x9E3779B9;
    private const uint W1 = 0xBB67AE85;

    /// <summary>The four words of one counter.</summary>
    public static (uint X0, uint X1, uint X2, uint X3) Block(uint c0, uint c1, uint c2, uint c3, uint k0, uint k1)
    {
        for (var round = 0; round < Rounds; round++)
        {
            var p0 = (ulong)M0 * c0;
            var p1 = (ulong)M1 * c2;
            (c0, c1, c2, c3) = ((uint)(p1 >> 32) ^ c1 ^ k0, (uint)p1, (uint)(p0 >> 32) ^ c3 ^ k1, (uint)p0);
            k0 += W0;
            k1 += W1;
        }

        return (c0, c1, c2, c3);
    }

    /// <summary>
    /// The words of the counters (first, c1, 0, 0), (first + 1, c1, 0, 0), …; <paramref name="words"/> a multiple of 4.
    /// </summary>
    public static void Fill(uint first, uint c1, uint k0, uint k1, Span<uint> words)
    {
        var i = 0;
        if (Avx2.IsSupported)
        {
            for (; i <= words.Length - 16; i += 16)
            {
                FourBlocks(first + (uint)(i / 4), c1, k0, k1, words.Slice(i, 16));
            }
        }

        for (; i < words.Length; i += 4)
        {
            (words[i], words[i + 1], words[i + 2], words[i + 3]) = Block(first + (uint)(i / 4), c1, 0, 0, k0, k1);
        }
    }

    /// <summary>
    /// Each word of four counters in the low half of a 64-bit lane: what the 32 · 32 → 64 bit multiplication reads.
    /// </summary>
    private static void FourBlocks(uint first, uint c1, uint k0, uint k1, Span<uint> words)
    {
        var low = Vector256.Create(0xFFFF_FFFFUL);
        var m0 = Vector256.Create((ulong)M0).AsUInt32();
        var m1 = Vector256.Create((ulong)M1).AsUInt32();
        var x0 = Vector256.Create((ulong)first, first + 1, first + 2, first + 3);
        var x1 = Vector256.Create((ulong)c1);
        var x2 = Vector256<ulong>.Zero;
        var x3 = Vector256<ulong>.Zero;
        for (var round = 0; round < Rounds; round++)
        {
            var p0 = Avx2.Multiply(x0.AsUInt32(), m0);
            var p1 = Avx2.Multiply(x2.AsUInt32(), m1);
            x0 = (p1 >>> 32) ^ x1 ^ Vector256.Create((ulong)k0);
            x1 = p1 & low;
            x2 = (p0 >>> 32) ^ x3 ^ Vector256.Create((ulong)k1);
            x3 = p0 & low;
            k0 = unchecked(k0 + W0);
            k1 = unchecked(k1 + W1);
        }

        var pairs01 = x0 | (x1 << 32);
        var pairs23 = x2 | (x3 << 32);
        var even = Avx2.UnpackLow(pairs01, pairs23);
        var odd = Avx2.UnpackHigh(pairs01, pairs23);
        Avx2.Permute2x128(even, odd, 0x20).AsUInt32().CopyTo(words);
        Avx2.Permute2x128(even, odd, 0x31).AsUInt32().CopyTo(words[8..]);
    }
}
