using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Benchmarks.Ops;

/// <summary>What the machine gives: read bandwidth from memory and multiply-adds in registers.</summary>
internal static unsafe class MachineBenchmark
{
    /// <summary>Prints both.</summary>
    public static void Run(int threads)
    {
        Console.WriteLine($"  read bandwidth {ReadGBytes(threads),7:F1} GB/s   (sum over 1 GiB)");
        Console.WriteLine($"  FMA peak       {PeakGFlops(threads),7:F0} GFLOP/s (registers only)");
    }

    /// <summary>GB/s of a plain SIMD sum over 1 GiB: the best slice of many.</summary>
    public static double ReadGBytes(int threads)
    {
        using var sum = new MemorySum(threads);
        return MemorySum.SliceBytes / 1e9 / Best.Of(sum.AddSlice, 1).Seconds;
    }

    /// <summary>GFLOP/s of multiply-adds that touch no memory.</summary>
    public static double PeakGFlops(int threads)
    {
        const int Rounds = 5_000;
        const int Parts = 64;
        using var device = new CpuDevice("cpu:0", threads);
        var seconds = Best.Of(() => device.Threads.Run(Parts, new PeakWork(Rounds))).Seconds;
        return Parts * (double)Rounds * 16 * 2 * (Vector512.IsHardwareAccelerated ? 16 : 8) / seconds / 1e9;
    }

    private readonly struct PeakWork(int rounds) : ICpuWork
    {
        public void Run(int part, int thread)
        {
            var sum = Vector512.IsHardwareAccelerated ? Wide(rounds) : Narrow(rounds);
            if (float.IsNaN(sum))
            {
                throw new InvalidOperationException("Sums of ones cannot be NaN.");
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private static float Wide(int rounds)
        {
            var (m, one) = (Vector512.Create(0.5f), Vector512<float>.One);
            Vector512<float> a = one, b = one, c = one, d = one, e = one, f = one, g = one, h = one;
            for (var i = 0; i < 2 * rounds; i++)
            {
                (a, b) = (Vector512.FusedMultiplyAdd(a, m, one), Vector512.FusedMultiplyAdd(b, m, one));
                (c, d) = (Vector512.FusedMultiplyAdd(c, m, one), Vector512.FusedMultiplyAdd(d, m, one));
                (e, f) = (Vector512.FusedMultiplyAdd(e, m, one), Vector512.FusedMultiplyAdd(f, m, one));
                (g, h) = (Vector512.FusedMultiplyAdd(g, m, one), Vector512.FusedMultiplyAdd(h, m, one));
            }

            return Vector512.Sum(a + b + c + d + e + f + g + h);
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private static float Narrow(int rounds)
        {
            var (m, one) = (Vector256.Create(0.5f), Vector256<float>.One);
            Vector256<float> a = one, b = one, c = one, d = one, e = one, f = one, g = one, h = one;
            for (var i = 0; i < 2 * rounds; i++)
            {
                (a, b) = (Vector256.FusedMultiplyAdd(a, m, one), Vector256.FusedMultiplyAdd(b, m, one));
                (c, d) = (Vector256.FusedMultiplyAdd(c, m, one), Vector256.FusedMultiplyAdd(d, m, one));
                (e, f) = (Vector256.FusedMultiplyAdd(e, m, one), Vector256.FusedMultiplyAdd(f, m, one));
                (g, h) = (Vector256.FusedMultiplyAdd(g, m, one), Vector256.FusedMultiplyAdd(h, m, one));
            }

            return Vector256.Sum(a + b + c + d + e + f + g + h);
        }
    }
}
