using System.Runtime.Intrinsics;

namespace TensorParallel.Worker.Ops.Cpu.Kernels;

/// <summary>
/// One vector register of floats. Kernels are written once over it; the JIT compiles them for each width, and
/// everything here becomes one to a few instructions.
/// </summary>
/// <typeparam name="TV">The implementing type itself.</typeparam>
internal unsafe interface ILanes<TV>
    where TV : struct, ILanes<TV>
{
    /// <summary>Floats in the register.</summary>
    static abstract int Count { get; }

    static abstract TV operator +(TV left, TV right);

    static abstract TV operator -(TV left, TV right);

    static abstract TV operator *(TV left, TV right);

    static abstract TV operator /(TV left, TV right);

    /// <summary>The same value in every lane.</summary>
    static abstract TV Broadcast(float value);

    static abstract TV Load(float* source);

    /// <summary>Widens bfloat16: the 16 bits become the upper half of the float.</summary>
    static abstract TV LoadBF16(ushort* source);

    /// <summary>Widens IEEE half exactly, subnormals, infinities and NaN included.</summary>
    static abstract TV LoadF16(ushort* source);

    static abstract void Store(TV value, float* target);

    /// <summary>a · b + c, rounded once.</summary>
    static abstract TV Fma(TV a, TV b, TV c);

    /// <summary>The greater of each lane; <paramref name="right"/> or NaN where either is NaN.</summary>
    static abstract TV Max(TV left, TV right);

    /// <summary>The lesser of each lane; <paramref name="right"/> or NaN where either is NaN.</summary>
    static abstract TV Min(TV left, TV right);

    static abstract TV Abs(TV value);

    /// <summary>Rounds to the nearest integer, ties to even.</summary>
    static abstract TV Round(TV value);

    /// <summary>
    /// value · 2^exponent for integral exponents in −252 … 254; subnormal results and overflow as IEEE has them.
    /// </summary>
    static abstract TV Scale(TV value, TV exponent);

    /// <summary>Lane by lane <c>left &lt; right ? whenLess : otherwise</c>.</summary>
    static abstract TV SelectLess(TV left, TV right, TV whenLess, TV otherwise);

    /// <summary>Sum of the lanes.</summary>
    static abstract float Sum(TV value);

    /// <summary>Greatest lane.</summary>
    static abstract float MaxOf(TV value);

    /// <summary>(sum of a, sum of b, sum of c, sum of d), each in the same order of additions.</summary>
    static abstract Vector128<float> SumEach(TV a, TV b, TV c, TV d);
}
