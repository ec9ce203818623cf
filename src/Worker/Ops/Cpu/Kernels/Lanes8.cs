using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace TensorParallel.Worker.Ops.Cpu.Kernels;

/// <summary>Eight floats: AVX2.</summary>
internal readonly unsafe struct Lanes8(Vector256<float> value) : ILanes<Lanes8>
{
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    private readonly Vector256<float> _value = value;

    public static int Count
    {
        [MethodImpl(Inline)]
        get => 8;
    }

    [MethodImpl(Inline)]
    public static Lanes8 operator +(Lanes8 left, Lanes8 right) => new(left._value + right._value);

    [MethodImpl(Inline)]
    public static Lanes8 operator -(Lanes8 left, Lanes8 right) => new(left._value - right._value);

    [MethodImpl(Inline)]
    public static Lanes8 operator *(Lanes8 left, Lanes8 right) => new(left._value * right._value);

    [MethodImpl(Inline)]
    public static Lanes8 operator /(Lanes8 left, Lanes8 right) => new(left._value / right._value);

    [MethodImpl(Inline)]
    public static Lanes8 Broadcast(float value) => new(Vector256.Create(value));

    [MethodImpl(Inline)]
    public static Lanes8 Load(float* source) => new(Vector256.Load(source));

    [MethodImpl(Inline)]
    public static Lanes8 LoadBF16(ushort* source) => new((Widen(source) << 16).AsSingle());

    [MethodImpl(Inline)]
    public static Lanes8 LoadF16(ushort* source)
    {
        // Sign and magnitude move to a float's place, three exponent bits short; times 2^112 sets the exponent right
        // (0x0001, the least subnormal, becomes 2^-136 · 2^112 = 2^-24), all but infinity and NaN: those get
        // theirs by or.
        var bits = Widen(source);
        var placed = ((bits << 16).AsInt32() >> 3) & Vector256.Create(unchecked((int)0x8FFF_E000));
        var scaled = placed.AsSingle() * Vector256.Create(5.192296858534828e33f);
        var exponent = Vector256.Create(0x7C00u);
        var special = Vector256.Equals(bits & exponent, exponent) & Vector256.Create(0x7F80_0000u);
        return new((scaled.AsUInt32() | special).AsSingle());
    }

    [MethodImpl(Inline)]
    public static void Store(Lanes8 value, float* target) => value._value.Store(target);

    [MethodImpl(Inline)]
    public static Lanes8 Fma(Lanes8 a, Lanes8 b, Lanes8 c) =>
        new(Vector256.FusedMultiplyAdd(a._value, b._value, c._value));

    [MethodImpl(Inline)]
    public static Lanes8 Max(Lanes8 left, Lanes8 right) =>
        new(Vector256.MaxNative(left._value, right._value));

    [MethodImpl(Inline)]
    public static Lanes8 Min(Lanes8 left, Lanes8 right) =>
        new(Vector256.MinNative(left._value, right._value));

    [MethodImpl(Inline)]
    public static Lanes8 Abs(Lanes8 value) => new(Vector256.Abs(value._value));

    [MethodImpl(Inline)]
    public static Lanes8 Round(Lanes8 value) => new(Vector256.Round(value._value));

    [MethodImpl(Inline)]
    public static Lanes8 Scale(Lanes8 value, Lanes8 exponent)
    {
        // In two steps, since 2^-150 or 2^128 is no float: 150 = 75 + 75.
        var whole = Vector256.ConvertToInt32(exponent._value);
        var first = whole >> 1;
        var bias = Vector256.Create(127);
        return new(value._value * ((first + bias) << 23).AsSingle() * ((whole - first + bias) << 23).AsSingle());
    }

    [MethodImpl(Inline)]
    public static Lanes8 SelectLess(Lanes8 left, Lanes8 right, Lanes8 whenLess, Lanes8 otherwise) => new(
        Vector256.ConditionalSelect(
            Vector256.LessThan(left._value, right._value), whenLess._value, otherwise._value));

    [MethodImpl(Inline)]
    public static float Sum(Lanes8 value) => SumEach(value, value, value, value).ToScalar();

    [MethodImpl(Inline)]
    public static float MaxOf(Lanes8 value) =>
        Lanes4.MaxOf(Lanes4.Max(new(value._value.GetLower()), new(value._value.GetUpper())));

    [MethodImpl(Inline)]
    public static Vector128<float> SumEach(Lanes8 a, Lanes8 b, Lanes8 c, Lanes8 d) =>
        Lanes4.SumEach(Fold(a), Fold(b), Fold(c), Fold(d));

    [MethodImpl(Inline)]
    private static Lanes4 Fold(Lanes8 value) => new(value._value.GetLower() + value._value.GetUpper());

    [MethodImpl(Inline)]
    private static Vector256<uint> Widen(ushort* source) =>
        Vector256.WidenLower(Vector128.Load(source).ToVector256Unsafe());
}
