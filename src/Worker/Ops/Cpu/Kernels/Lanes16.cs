using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace TensorParallel.Worker.Ops.Cpu.Kernels;

/// <summary>Sixteen floats: AVX-512.</summary>
internal readonly unsafe struct Lanes16(Vector512<float> value) : ILanes<Lanes16>
{
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    private readonly Vector512<float> _value = value;

    public static int Count
    {
        [MethodImpl(Inline)]
        get => 16;
    }

    [MethodImpl(Inline)]
    public static Lanes16 operator +(Lanes16 left, Lanes16 right) => new(left._value + right._value);

    [MethodImpl(Inline)]
    public static Lanes16 operator -(Lanes16 left, Lanes16 right) => new(left._value - right._value);

    [MethodImpl(Inline)]
    public static Lanes16 operator *(Lanes16 left, Lanes16 right) => new(left._value * right._value);

    [MethodImpl(Inline)]
    public static Lanes16 operator /(Lanes16 left, Lanes16 right) => new(left._value / right._value);

    [MethodImpl(Inline)]
    public static Lanes16 Broadcast(float value) => new(Vector512.Create(value));

    [MethodImpl(Inline)]
    public static Lanes16 Load(float* source) => new(Vector512.Load(source));

    [MethodImpl(Inline)]
    public static Lanes16 LoadBF16(ushort* source) => new((Widen(source) << 16).AsSingle());

    [MethodImpl(Inline)]
    public static Lanes16 LoadF16(ushort* source)
    {
        // Sign and magnitude move to a float's place, three exponent bits short; times 2^112 sets the exponent right
        // (0x0001, the least subnormal, becomes 2^-136 · 2^112 = 2^-24), all but infinity and NaN: those get
        // theirs by or.
        var bits = Widen(source);
        var placed = ((bits << 16).AsInt32() >> 3) & Vector512.Create(unchecked((int)0x8FFF_E000));
        var scaled = placed.AsSingle() * Vector512.Create(5.192296858534828e33f);
        var exponent = Vector512.Create(0x7C00u);
        var special = Vector512.Equals(bits & exponent, exponent) & Vector512.Create(0x7F80_0000u);
        return new((scaled.AsUInt32() | special).AsSingle());
    }

    [MethodImpl(Inline)]
    public static void Store(Lanes16 value, float* target) => value._value.Store(target);

    [MethodImpl(Inline)]
    public static Lanes16 Fma(Lanes16 a, Lanes16 b, Lanes16 c) =>
        new(Vector512.FusedMultiplyAdd(a._value, b._value, c._value));

    [MethodImpl(Inline)]
    public static Lanes16 Max(Lanes16 left, Lanes16 right) =>
        new(Vector512.MaxNative(left._value, right._value));

    [MethodImpl(Inline)]
    public static Lanes16 Min(Lanes16 left, Lanes16 right) =>
        new(Vector512.MinNative(left._value, right._value));

    [MethodImpl(Inline)]
    public static Lanes16 Abs(Lanes16 value) => new(Vector512.Abs(value._value));

    [MethodImpl(Inline)]
    public static Lanes16 Round(Lanes16 value) => new(Vector512.Round(value._value));

    [MethodImpl(Inline)]
    public static Lanes16 Scale(Lanes16 value, Lanes16 exponent)
    {
        if (Avx512F.IsSupported)
        {
            return new(Avx512F.Scale(value._value, exponent._value));
        }

        // In two steps, since 2^-150 or 2^128 is no float: 150 = 75 + 75.
        var whole = Vector512.ConvertToInt32(exponent._value);
        var first = whole >> 1;
        var bias = Vector512.Create(127);
        return new(value._value * ((first + bias) << 23).AsSingle() * ((whole - first + bias) << 23).AsSingle());
    }

    [MethodImpl(Inline)]
    public static Lanes16 SelectLess(Lanes16 left, Lanes16 right, Lanes16 whenLess, Lanes16 otherwise) => new(
        Vector512.ConditionalSelect(
            Vector512.LessThan(left._value, right._value), whenLess._value, otherwise._value));

    [MethodImpl(Inline)]
    public static float Sum(Lanes16 value) => SumEach(value, value, value, value).ToScalar();

    [MethodImpl(Inline)]
    public static float MaxOf(Lanes16 value) =>
        Lanes8.MaxOf(Lanes8.Max(new(value._value.GetLower()), new(value._value.GetUpper())));

    [MethodImpl(Inline)]
    public static Vector128<float> SumEach(Lanes16 a, Lanes16 b, Lanes16 c, Lanes16 d) =>
        Lanes8.SumEach(Fold(a), Fold(b), Fold(c), Fold(d));

    [MethodImpl(Inline)]
    private static Lanes8 Fold(Lanes16 value) => new(value._value.GetLower() + value._value.GetUpper());

    [MethodImpl(Inline)]
    private static Vector512<uint> Widen(ushort* source) =>
        Vector512.WidenLower(Vector256.Load(source).ToVector512Unsafe());
}
