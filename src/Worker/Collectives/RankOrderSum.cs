using System.Numerics;

namespace TensorParallel.Worker.Collectives;

/// <summary>
/// Sums one vector of each rank in rank order: ((x₀ + x₁) + x₂) + …, each element for itself. The order is the same
/// wherever an element is summed, so every rank gets the same bits, whichever rank or chunk did the sum.
/// </summary>
internal static unsafe class RankOrderSum
{
    /// <summary>target[i] = Σ sources[r][i] for i in [0, count). The target may be one of the sources.</summary>
    public static void Sum(ReadOnlySpan<nint> sources, float* target, int count)
    {
        var width = Vector<float>.Count;
        var i = 0;
        for (; i <= count - (4 * width); i += 4 * width)
        {
            var at = (float*)sources[0] + i;
            var a = Vector.Load(at);
            var b = Vector.Load(at + width);
            var c = Vector.Load(at + (2 * width));
            var d = Vector.Load(at + (3 * width));
            for (var r = 1; r < sources.Length; r++)
            {
                at = (float*)sources[r] + i;
                a += Vector.Load(at);
                b += Vector.Load(at + width);
                c += Vector.Load(at + (2 * width));
                d += Vector.Load(at + (3 * width));
            }

            Vector.Store(a, target + i);
            Vector.Store(b, target + i + width);
            Vector.Store(c, target + i + (2 * width));
            Vector.Store(d, target + i + (3 * width));
        }

        for (; i < count; i++)
        {
            var sum = ((float*)sources[0])[i];
            for (var r = 1; r < sources.Length; r++)
            {
                sum += ((float*)sources[r])[i];
            }

            target[i] = sum;
        }
    }
}
