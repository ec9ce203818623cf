using System.Runtime.CompilerServices;
using TensorParallel.Protocol.Architectures;

namespace TensorParallel.Worker.Ops.Cpu.Kernels;

/// <summary>Operations on rows of floats.</summary>
internal static unsafe class ActivationRowKernels<TV>
    where TV : struct, ILanes<TV>
{
    /// <summary>target += source.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Add(float* target, float* source, int count)
    {
        var i = 0;
        for (; i <= count - TV.Count; i += TV.Count)
        {
            TV.Store(TV.Load(target + i) + TV.Load(source + i), target + i);
        }

        for (; i < count; i++)
        {
            target[i] += source[i];
        }
    }

    /// <summary>output = act(gate) · up.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void GatedActivation(ActivationKind kind, float* gate, float* up, float* output, int count)
    {
        var i = 0;
        for (; i <= count - TV.Count; i += TV.Count)
        {
            TV.Store(Activate(kind, TV.Load(gate + i)) * TV.Load(up + i), output + i);
        }

        if (i < count)
        {
            // The rest through a register of its own, so that it is rounded like the others.
            var rest = stackalloc float[TV.Count];
            TV.Store(default, rest);
            new ReadOnlySpan<float>(gate + i, count - i).CopyTo(new Span<float>(rest, TV.Count));
            TV.Store(Activate(kind, TV.Load(rest)), rest);
            for (var j = 0; i < count; i++, j++)
            {
                output[i] = rest[j] * up[i];
            }
        }
    }

    /// <summary>
    /// (x1, x2) = (x1·cos − x2·sin, x2·cos + x1·sin) for x1 = x[d], x2 = x[d + half], d &lt; half; in place.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Rotate(float* x, float* cos, float* sin, int half)
    {
        var d = 0;
        for (; d <= half - TV.Count; d += TV.Count)
        {
            var x1 = TV.Load(x + d);
            var x2 = TV.Load(x + half + d);
            var c = TV.Load(cos + d);
            var s = TV.Load(sin + d);
            TV.Store((x1 * c) - (x2 * s), x + d);
            TV.Store((x2 * c) + (x1 * s), x + half + d);
        }

        for (; d < half; d++)
        {
            var (x1, x2) = (x[d], x[half + d]);
            x[d] = (x1 * cos[d]) - (x2 * sin[d]);
            x[half + d] = (x2 * cos[d]) + (x1 * sin[d]);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TV Activate(ActivationKind kind, TV x) => kind switch
    {
        ActivationKind.Silu => Functions<TV>.Silu(x),
        ActivationKind.Gelu => Functions<TV>.Gelu(x),
        _ => Functions<TV>.GeluTanh(x),
    };
}
