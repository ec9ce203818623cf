using System.Runtime.CompilerServices;

namespace TensorParallel.Worker.Ops.Cpu.Kernels;

/// <summary>Scores of one query over one chunk of context, turned into weights in place.</summary>
internal static unsafe class Softmax<TV>
    where TV : struct, ILanes<TV>
{
    /// <summary>
    /// scores[i] = e^(s(i) − maximum) for first ≤ i &lt; end and 0 elsewhere, s = scale · score, soft-capped; the
    /// values outside are not looked at. Returns the maximum and the sum; −∞ and 0 where nothing is visible.
    /// </summary>
    /// <param name="scores">A multiple of the register of floats.</param>
    /// <param name="count">Floats to write, a multiple of the register.</param>
    /// <param name="first">First visible.</param>
    /// <param name="end">One past the last visible.</param>
    /// <param name="options">Scale and soft cap.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static (float Maximum, float Sum) Run(float* scores, int count, int first, int end, AttentionOptions options)
    {
        if (first >= end)
        {
            new Span<float>(scores, count).Clear();
            return (float.NegativeInfinity, 0);
        }

        new Span<float>(scores, first).Fill(float.NegativeInfinity);
        new Span<float>(scores + end, count - end).Fill(float.NegativeInfinity);
        if (options.LogitSoftCap is { } cap)
        {
            Cap(scores, count, options.Scale / cap, cap);
        }

        var scale = TV.Broadcast(options.LogitSoftCap is null ? options.Scale : 1f);
        var maxima = TV.Broadcast(float.NegativeInfinity);
        for (var i = 0; i < count; i += TV.Count)
        {
            var s = TV.Load(scores + i) * scale;
            TV.Store(s, scores + i);
            maxima = TV.Max(maxima, s);
        }

        var maximum = TV.MaxOf(maxima);
        var shift = TV.Broadcast(maximum);
        TV sums = default;
        for (var i = 0; i < count; i += TV.Count)
        {
            var weight = Functions<TV>.Exp(TV.Load(scores + i) - shift);
            TV.Store(weight, scores + i);
            sums += weight;
        }

        return (maximum, TV.Sum(sums));
    }

    private static void Cap(float* scores, int count, float factor, float cap)
    {
        for (var i = 0; i < count; i += TV.Count)
        {
            // tanh would turn −∞ into −cap, so what is hidden stays hidden by the select.
            var s = TV.Load(scores + i);
            var capped = Functions<TV>.Tanh(s * TV.Broadcast(factor)) * TV.Broadcast(cap);
            TV.Store(TV.SelectLess(s, TV.Broadcast(float.MinValue), s, capped), scores + i);
        }
    }
}
