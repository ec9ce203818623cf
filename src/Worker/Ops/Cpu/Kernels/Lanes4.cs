using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace TensorParallel.Worker.Ops.Cpu.Kernels;

/// <summary>Four floats: SSE, NEON, or plain code where there is neither.</summary>
internal readonly unsafe struct Lanes4(Vector128<float> value) : ILanes<Lanes4>
{
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    private readonly Vector128<float> _value = value;

    public static int Count
    {
        [MethodImpl(Inline)]
        get => 4;
    }

    [MethodImpl(Inline)]
    public static Lanes4 operator +(Lanes4 left, Lanes4 right) => new(left._value + right._value);

    [MethodImpl(Inline)]
    public static Lanes4 operator -(Lanes4 left, Lanes4 right) => new(left._value - right._value);

    [MethodImpl(Inline)]
    public static Lanes4 operator *(Lanes4 left, Lanes4 right) => new(left._value * right._value);

    [MethodImpl(Inline)]
    public static Lanes4 operator /(Lanes4 left, Lanes4 right) => new(left._value / right._value);

    [MethodImpl(Inline)]
    public static Lanes4 Broadcast(float value) => new(Vector128.Create(value));

    [MethodImpl(Inline)]
    public static Lanes4 Load(float* source) => new(Vector128.Load(source));

    [MethodImpl(Inline)]
    public static Lanes4 LoadBF16(ushort* source) => new((Widen(source) << 16).AsSingle());

    [MethodImpl(Inline)]
    public static Lanes4 LoadF16(ushort* source)
    {
        // Sign and magnitude move to a float's place, three exponent bits short; times 2^112 sets the exponent right
        // (0x0001, the least subnormal, becomes 2^-136 · 2^112 = 2^-24), all but infinity and NaN: those get
        // theirs by or.
        var bits = Widen(source);
        var placed = ((bits << 16).AsInt32() >> 3) & Vector128.Create(unchecked((int)0x8FFF_E000));
        var scaled = placed.AsSingle() * Vector128.Create(5.192296858534828e33f);
        var exponent = Vector128.Create(0x7C00u);
        var special = Vector128.Equals(bits & exponent, exponent) & Vector128.Create(0x7F80_0000u);
        return new((scaled.AsUInt32() | special).AsSingle());
    }

    [MethodImpl(Inline)]
    public static void Store(Lanes4 value, float* target) => value._value.Store(target);

    [MethodImpl(Inline)]
    public static Lanes4 Fma(Lanes4 a, Lanes4 b, Lanes4 c) =>
        new(Vector128.FusedMultiplyAdd(a._value, b._value, c._value));

    [MethodImpl(Inline)]
    public static Lanes4 Max(Lanes4 left, Lanes4 right) =>
        new(Vector128.MaxNative(left._value, right._value));

    [MethodImpl(Inline)]
    public static Lanes4 Min(Lanes4 left, Lanes4 right) =>
        new(Vector128.MinNative(left._value, right._value));

    [MethodImpl(Inline)]
    public static Lanes4 Abs(Lanes4 value) => new(Vector128.Abs(value._value));

    [MethodImpl(Inline)]
    public static Lanes4 Round(Lanes4 value) => new(Vector128.Round(value._value));

    [MethodImpl(Inline)]
    public static Lanes4 Scale(Lanes4 value, Lanes4 exponent)
    {
        // In two steps, since 2^-150 or 2^128 is no float: 150 = 75 + 75.
        var whole = Vector128.ConvertToInt32(exponent._value);
        var first = whole >> 1;
        var bias = Vector128.Create(127);
        return new(value._value * ((first + bias) << 23).AsSingle() * ((whole - first + bias) << 23).AsSingle());
    }

    [MethodImpl(Inline)]
    public static Lanes4 SelectLess(Lanes4 left, Lanes4 right, Lanes4 whenLess, Lanes4 otherwise) => new(
        Vector128.ConditionalSelect(
            Vector128.LessThan(left._value, right._value), whenLess._value, otherwise._value));

    [MethodImpl(Inline)]
    public static float Sum(Lanes4 value) => SumEach(value, value, value, value).ToScalar();

    [MethodImpl(Inline)]
    public static float MaxOf(Lanes4 value)
    {
        var v = value._value;
        var pairs = Max(value, new(Vector128.Shuffle(v, Vector128.Create(2, 3, 0, 1))));
        return Max(pairs, new(Vector128.Shuffle(pairs._value, Vector128.Create(1, 0, 3, 2))))._value.ToScalar();
    }

    [MethodImpl(Inline)]
    public static Vector128<float> SumEach(Lanes4 a, Lanes4 b, Lanes4 c, Lanes4 d)
    {
        if (Sse3.IsSupported)
        {
            return Sse3.HorizontalAdd(
                Sse3.HorizontalAdd(a._value, b._value), Sse3.HorizontalAdd(c._value, d._value));
        }

        return Vector128.Create(
            Vector128.Sum(a._value), Vector128.Sum(b._value), Vector128.Sum(c._value), Vector128.Sum(d._value));
    }

    [MethodImpl(Inline)]
    private static Vector128<uint> Widen(ushort* source) =>
        Vector128.WidenLower(Vector64.Load(source).ToVector128Unsafe());
}
