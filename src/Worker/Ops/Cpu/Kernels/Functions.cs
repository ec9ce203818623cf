using System.Runtime.CompilerServices;

namespace TensorParallel.Worker.Ops.Cpu.Kernels;

/// <summary>
/// Elementary functions in f32. Coefficients are Chebyshev fits of our own, made with 40 digits; the errors named are
/// those of the fits, rounding adds one or two units in the last place (tests hold the sum against double precision).
/// </summary>
internal static class Functions<TV>
    where TV : struct, ILanes<TV>
{
    /// <summary>
    /// e^x = 2^n · e^r, n = round(x / ln 2), |r| ≤ 0.35; e^r = 1 + r + r² · q(r), error 1e-8. Infinity above 88.7, zero
    /// below −104.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TV Exp(TV x)
    {
        x = TV.Max(TV.Broadcast(-105f), TV.Min(TV.Broadcast(90f), x));
        var n = TV.Round(x * TV.Broadcast(1.44269504f));

        // ln 2 in two parts: n · 0.693359375 is exact (nine bits times eight).
        var r = TV.Fma(n, TV.Broadcast(-0.693359375f), x);
        r = TV.Fma(n, TV.Broadcast(2.12194440e-4f), r);
        var q = TV.Fma(r, TV.Broadcast(0.001392692661f), TV.Broadcast(0.008363773874f));
        q = TV.Fma(r, q, TV.Broadcast(0.04166655011f));
        q = TV.Fma(r, q, TV.Broadcast(0.1666657338f));
        q = TV.Fma(r, q, TV.Broadcast(0.5f));
        var e = TV.Fma(r * r, q, r) + TV.Broadcast(1f);
        return TV.Scale(e, n);
    }

    /// <summary>tanh x: x + x³ · q(x²) up to 0.6, error 1e-8; beyond, by e^(−2|x|).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TV Tanh(TV x)
    {
        var one = TV.Broadcast(1f);
        var magnitude = TV.Abs(x);
        var square = x * x;
        var q = TV.Fma(square, TV.Broadcast(-0.00626911972f), TV.Broadcast(0.02111095905f));
        q = TV.Fma(square, q, TV.Broadcast(-0.05387394885f));
        q = TV.Fma(square, q, TV.Broadcast(0.1333291537f));
        q = TV.Fma(square, q, TV.Broadcast(-0.3333333033f));
        var near = TV.Fma(x * square, q, x);
        var decay = Exp(magnitude * TV.Broadcast(-2f));
        var far = (one - decay) / (one + decay);
        far = TV.SelectLess(x, default, default(TV) - far, far);
        return TV.SelectLess(magnitude, TV.Broadcast(0.6f), near, far);
    }

    /// <summary>x · sigmoid(x) = x / (1 + e^(−x)).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TV Silu(TV x) => x / (TV.Broadcast(1f) + Exp(default(TV) - x));

    /// <summary>
    /// The tanh approximation of GELU: x/2 · (1 + tanh u) = x / (1 + e^(−2u)), u = √(2/π) · (x + 0.044715 x³). The
    /// second form cancels nothing where tanh u nears −1.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TV GeluTanh(TV x)
    {
        var cubic = TV.Fma(x * x, TV.Broadcast(0.044715f), TV.Broadcast(1f));
        return x / (TV.Broadcast(1f) + Exp(TV.Broadcast(-1.5957691216f) * x * cubic));
    }

    /// <summary>
    /// x · Φ(x). With z = |x| / √2 the lower half of Φ is e^(−z²) · erfcx(z) / 2, where erfcx(z) = p(t) / (z + 3),
    /// t = (z − 3) / (z + 3), fit error 5e-9 up to z = 10; e^(−z²) takes the rounding of x² into account, which the
    /// exponent would magnify (x = 8: by 32).
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TV Gelu(TV x)
    {
        var one = TV.Broadcast(1f);
        var magnitude = TV.Min(TV.Broadcast(14.1f), TV.Abs(x));
        var z = magnitude * TV.Broadcast(0.70710678f);
        var t = (z - TV.Broadcast(3f)) / (z + TV.Broadcast(3f));
        var p = TV.Fma(t, TV.Broadcast(-0.0003342244062f), TV.Broadcast(-0.000500258783f));
        p = TV.Fma(t, p, TV.Broadcast(0.003077058f));
        p = TV.Fma(t, p, TV.Broadcast(-0.001216889072f));
        p = TV.Fma(t, p, TV.Broadcast(-0.02683621734f));
        p = TV.Fma(t, p, TV.Broadcast(0.1195273334f));
        p = TV.Fma(t, p, TV.Broadcast(-0.3104666589f));
        p = TV.Fma(t, p, TV.Broadcast(0.5902284103f));
        p = TV.Fma(t, p, TV.Broadcast(-0.88339446f));
        p = TV.Fma(t, p, TV.Broadcast(1.074006906f));
        var square = magnitude * magnitude;
        var rounding = TV.Fma(magnitude, magnitude, default(TV) - square);
        var decay = Exp(square * TV.Broadcast(-0.5f)) * TV.Fma(rounding, TV.Broadcast(-0.5f), one);
        var lower = TV.Broadcast(0.5f) * decay * p / (z + TV.Broadcast(3f));
        return x * TV.SelectLess(x, default, lower, one - lower);
    }
}
