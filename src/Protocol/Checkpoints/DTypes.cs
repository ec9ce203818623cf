using System.Collections.Frozen;

namespace TensorParallel.Protocol.Checkpoints;

/// <summary>
/// Names and sizes of <see cref="DType"/>. A type has two names: the safetensors one ("BF16", in tensor headers) and
/// the Hugging Face one ("bfloat16", in config.json and on the command line). Thread-safe.
/// </summary>
public static class DTypes
{
    private static readonly Facts[] s_facts =
    [
        new(DType.Bool, "BOOL", "bool", 8, false),
        new(DType.F4, "F4", "float4_e2m1fn_x2", 4, true),
        new(DType.F6E2M3, "F6_E2M3", "float6_e2m3fn", 6, true),
        new(DType.F6E3M2, "F6_E3M2", "float6_e3m2fn", 6, true),
        new(DType.U8, "U8", "uint8", 8, false),
        new(DType.I8, "I8", "int8", 8, false),
        new(DType.F8E5M2, "F8_E5M2", "float8_e5m2", 8, true),
        new(DType.F8E4M3, "F8_E4M3", "float8_e4m3fn", 8, true),
        new(DType.F8E8M0, "F8_E8M0", "float8_e8m0fnu", 8, true),
        new(DType.F8E4M3Fnuz, "F8_E4M3FNUZ", "float8_e4m3fnuz", 8, true),
        new(DType.F8E5M2Fnuz, "F8_E5M2FNUZ", "float8_e5m2fnuz", 8, true),
        new(DType.I16, "I16", "int16", 16, false),
        new(DType.U16, "U16", "uint16", 16, false),
        new(DType.F16, "F16", "float16", 16, true),
        new(DType.BF16, "BF16", "bfloat16", 16, true),
        new(DType.I32, "I32", "int32", 32, false),
        new(DType.U32, "U32", "uint32", 32, false),
        new(DType.F32, "F32", "float32", 32, true),
        new(DType.C64, "C64", "complex64", 64, false),
        new(DType.I64, "I64", "int64", 64, false),
        new(DType.U64, "U64", "uint64", 64, false),
        new(DType.F64, "F64", "float64", 64, true),
    ];

    private static readonly FrozenDictionary<DType, Facts> s_byType = s_facts.ToFrozenDictionary(f => f.Type);

    private static readonly FrozenDictionary<string, DType> s_bySafetensorsName =
        s_facts.ToFrozenDictionary(f => f.SafetensorsName, f => f.Type);

    // torch's own aliases appear in hand-written configurations.
    private static readonly FrozenDictionary<string, DType> s_byHuggingFaceName = s_facts
        .Select(f => KeyValuePair.Create(f.HuggingFaceName, f.Type))
        .Append(KeyValuePair.Create("half", DType.F16))
        .Append(KeyValuePair.Create("float", DType.F32))
        .Append(KeyValuePair.Create("double", DType.F64))
        .ToFrozenDictionary();

    /// <summary>The type that a safetensors header calls <paramref name="safetensorsName"/> (case matters).</summary>
    /// <exception cref="CheckpointException">No such type.</exception>
    public static DType Parse(string safetensorsName) => TryParse(safetensorsName, out var type)
        ? type
        : throw new CheckpointException($"{Quote.Of(safetensorsName)} is not a safetensors dtype.");

    /// <inheritdoc cref="Parse"/>
    public static bool TryParse(string safetensorsName, out DType type) =>
        s_bySafetensorsName.TryGetValue(safetensorsName, out type);

    /// <summary>The type that Hugging Face calls "bfloat16" or "torch.bfloat16".</summary>
    /// <exception cref="CheckpointException">No such type.</exception>
    public static DType ParseHuggingFace(string name) => TryParseHuggingFace(name, out var type)
        ? type
        : throw new CheckpointException($"{Quote.Of(name)} is not a dtype that is known here, such as \"bfloat16\".");

    /// <inheritdoc cref="ParseHuggingFace"/>
    public static bool TryParseHuggingFace(string name, out DType type)
    {
        const string Prefix = "torch.";
        var bare = name.StartsWith(Prefix, StringComparison.Ordinal) ? name[Prefix.Length..] : name;
        return s_byHuggingFaceName.TryGetValue(bare, out type);
    }

    /// <summary>The name in safetensors headers, such as "BF16".</summary>
    public static string SafetensorsName(this DType type) => s_byType[type].SafetensorsName;

    /// <summary>The name in config.json, such as "bfloat16".</summary>
    public static string HuggingFaceName(this DType type) => s_byType[type].HuggingFaceName;

    /// <summary>Bits of one element: 4 or 6 for the packed types, otherwise a multiple of 8.</summary>
    public static int SizeInBits(this DType type) => s_byType[type].Bits;

    /// <summary>Bytes of one element.</summary>
    /// <exception cref="InvalidOperationException">A packed type of <see cref="SizeInBits"/> 4 or 6.</exception>
    public static int SizeInBytes(this DType type)
    {
        var bits = s_byType[type].Bits;
        return bits % 8 == 0
            ? bits / 8
            : throw new InvalidOperationException($"An element of {type} has {bits} bits, not whole bytes.");
    }

    /// <summary>Whether transformers counts the type as floating point (complex is not).</summary>
    public static bool IsFloatingPoint(this DType type) => s_byType[type].IsFloatingPoint;

    private sealed record Facts(
        DType Type, string SafetensorsName, string HuggingFaceName, int Bits, bool IsFloatingPoint);
}
