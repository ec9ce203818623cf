using TensorParallel.Protocol.Checkpoints;
using Xunit;

namespace TensorParallel.Protocol.Tests.Checkpoints;

public sealed class DTypesTests
{
    public static TheoryData<DType> All => [.. Enum.GetValues<DType>()];

    [Theory]
    [MemberData(nameof(All))]
    public void Names_GoBothWays(DType dtype)
    {
        Assert.Equal(dtype, DTypes.Parse(dtype.SafetensorsName()));
        Assert.Equal(dtype, DTypes.ParseHuggingFace(dtype.HuggingFaceName()));
        Assert.Equal(dtype, DTypes.ParseHuggingFace("torch." + dtype.HuggingFaceName()));
    }

    [Theory]
    [InlineData("BF16", "bfloat16", 16)]
    [InlineData("F16", "float16", 16)]
    [InlineData("F32", "float32", 32)]
    [InlineData("F64", "float64", 64)]
    [InlineData("BOOL", "bool", 8)]
    [InlineData("U8", "uint8", 8)]
    [InlineData("I64", "int64", 64)]
    [InlineData("C64", "complex64", 64)]
    [InlineData("F8_E4M3", "float8_e4m3fn", 8)]
    [InlineData("F8_E5M2FNUZ", "float8_e5m2fnuz", 8)]
    [InlineData("F6_E3M2", "float6_e3m2fn", 6)]
    [InlineData("F4", "float4_e2m1fn_x2", 4)]
    public void Facts_AreTheFormats(string safetensorsName, string huggingFaceName, int bits)
    {
        var dtype = DTypes.Parse(safetensorsName);

        Assert.Equal(huggingFaceName, dtype.HuggingFaceName());
        Assert.Equal(bits, dtype.SizeInBits());
    }

    [Fact]
    public void SizeInBytes_ExistsForWholeBytesOnly()
    {
        Assert.Equal(2, DType.BF16.SizeInBytes());
        Assert.Equal(8, DType.C64.SizeInBytes());
        Assert.Throws<InvalidOperationException>(() => DType.F4.SizeInBytes());
        Assert.Throws<InvalidOperationException>(() => DType.F6E2M3.SizeInBytes());
    }

    [Theory]
    [InlineData("half", DType.F16)]
    [InlineData("torch.float", DType.F32)]
    [InlineData("double", DType.F64)]
    public void Aliases_AreTorchs(string name, DType dtype) => Assert.Equal(dtype, DTypes.ParseHuggingFace(name));

    [Theory]
    [InlineData("bf16")]
    [InlineData("")]
    [InlineData("torch.")]
    [InlineData("torch.torch.float32")]
    [InlineData("BFLOAT16")]
    public void UnknownNames_AreRefused(string name)
    {
        Sentence.AssertThrown(() => DTypes.Parse(name), $"\"{name}\"");
        Sentence.AssertThrown(() => DTypes.ParseHuggingFace(name), $"\"{name}\"");
    }

    [Fact]
    public void IsFloatingPoint_MatchesTorch()
    {
        DType[] others =
        [
            DType.Bool, DType.U8, DType.I8, DType.I16, DType.U16, DType.I32, DType.U32, DType.I64, DType.U64, DType.C64,
        ];

        Assert.All(Enum.GetValues<DType>(), dtype => Assert.Equal(!others.Contains(dtype), dtype.IsFloatingPoint()));
    }
}
