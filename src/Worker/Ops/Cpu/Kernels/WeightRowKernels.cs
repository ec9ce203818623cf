using System.Runtime.CompilerServices;

namespace TensorParallel.Worker.Ops.Cpu.Kernels;

/// <summary>Operations on one row that read a tensor of any float dtype; the last columns go one by one.</summary>
internal static unsafe class WeightRowKernels<TV, TE>
    where TV : struct, ILanes<TV>
    where TE : struct, IElement
{
    /// <summary>target = source as floats.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Widen(byte* source, float* target, int count)
    {
        var i = 0;
        for (; i <= count - TV.Count; i += TV.Count)
        {
            TV.Store(TE.Load<TV>(source + ((long)i * TE.Bytes)), target + i);
        }

        for (; i < count; i++)
        {
            target[i] = TE.Scalar(source + ((long)i * TE.Bytes));
        }
    }

    /// <summary>
    /// x += delta (unless null); output = x / sqrt(mean(x²) + epsilon) · weight. Four sums side by side, so that the
    /// adds do not wait for each other.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void RmsNorm(float* x, float* delta, byte* weight, float epsilon, float* output, int count)
    {
        if (delta is not null)
        {
            ActivationRowKernels<TV>.Add(x, delta, count);
        }

        TV s0 = default, s1 = default, s2 = default, s3 = default;
        var i = 0;
        for (; i <= count - (4 * TV.Count); i += 4 * TV.Count)
        {
            var x0 = TV.Load(x + i);
            var x1 = TV.Load(x + i + TV.Count);
            var x2 = TV.Load(x + i + (2 * TV.Count));
            var x3 = TV.Load(x + i + (3 * TV.Count));
            s0 = TV.Fma(x0, x0, s0);
            s1 = TV.Fma(x1, x1, s1);
            s2 = TV.Fma(x2, x2, s2);
            s3 = TV.Fma(x3, x3, s3);
        }

        var sum = TV.Sum(s0 + s1 + (s2 + s3));
        for (; i < count; i++)
        {
            sum += x[i] * x[i];
        }

        var factor = 1f / MathF.Sqrt((sum / count) + epsilon);
        var factors = TV.Broadcast(factor);
        for (i = 0; i <= count - TV.Count; i += TV.Count)
        {
            TV.Store(TV.Load(x + i) * factors * TE.Load<TV>(weight + ((long)i * TE.Bytes)), output + i);
        }

        for (; i < count; i++)
        {
            output[i] = x[i] * factor * TE.Scalar(weight + ((long)i * TE.Bytes));
        }
    }
}
