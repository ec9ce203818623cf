using TensorParallel.Protocol.Checkpoints;
using TensorParallel.TestKit;
using Xunit;

namespace TensorParallel.Protocol.Tests.Checkpoints;

public sealed class DTypeResolutionTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("float32", DType.F32)]
    [InlineData("bfloat16", DType.BF16)]
    [InlineData("float16", DType.F16)]
    public void Explicit_GoesBeforeEverything(string requested, DType expected)
    {
        var config = ModelConfig.Parse("""{"dtype": "float64"}""");

        Assert.Equal(expected, DTypeResolution.Resolve(requested, config));
        Assert.Contains(requested, DTypeResolution.Choices);
    }

    [Theory]
    [InlineData("""{"dtype": "bfloat16"}""", DType.BF16)]
    [InlineData("""{"torch_dtype": "torch.float16"}""", DType.F16)]
    [InlineData("{}", DType.F32)]
    public void Auto_OfABareConfiguration(string config, DType expected) =>
        Assert.Equal(expected, DTypeResolution.Resolve("auto", ModelConfig.Parse(config)));

    [Fact]
    public void Auto_TakesTheConfigurationThenTheIndexThenTheFirstFloatingTensor()
    {
        Assert.Equal(DType.BF16, Auto("""{"dtype": "bfloat16"}""", ", \"dtype\": \"float32\""));
        Assert.Equal(DType.F32, Auto("{}", ", \"dtype\": \"float32\""));

        // By name "h" comes before "z", which lies before it in the file; the second file's "b" comes before both.
        Assert.Equal(DType.F16, Auto("{}", ""));
        Assert.Equal(DType.F16, Auto("""{"dtype": null, "torch_dtype": null}""", ""));
        Assert.Equal(DType.BF16, Auto("""{"dtype": "bfloat16", "torch_dtype": "float16"}""", ""));
        Assert.Equal(DType.F16, Auto("""{"torch_dtype": "float16"}""", ", \"dtype\": \"float32\""));

        DType Auto(string config, string indexDType)
        {
            File.WriteAllText(_folder.File("config.json"), config);
            File.WriteAllText(
                _folder.File(Checkpoint.IndexFileName),
                $$"""
                {
                  "metadata": {"total_size": 1{{indexDType}} },
                  "weight_map": {"z": "1", "i": "1", "h": "1", "b": "2"}
                }
                """);
            SafetensorsWriter.Write(
                _folder.File("1"),
                [
                    new("i", DType.I64, [1], new byte[8]),
                    new("z", DType.F32, [1], new byte[4]),
                    new("h", DType.F16, [1], new byte[2]),
                ]);
            SafetensorsWriter.Write(_folder.File("2"), [new("b", DType.BF16, [1], new byte[2])]);
            return DTypeResolution.Resolve("auto", Checkpoint.Open(_folder.Path));
        }
    }

    [Fact]
    public void Auto_PassesOverTypesThatAreOnlyStored()
    {
        File.WriteAllText(_folder.File("config.json"), "{}");
        SafetensorsWriter.Write(
            _folder.File("model.safetensors"),
            [
                new("a", DType.F8E4M3, [1], new byte[1]),
                new("b", DType.I32, [1], new byte[4]),
                new("c", DType.BF16, [1], new byte[2]),
                new("d", DType.F32, [1], new byte[4]),
            ]);

        Assert.Equal(DType.BF16, DTypeResolution.Resolve("auto", Checkpoint.Open(_folder.Path)));
    }

    [Fact]
    public void Auto_LooksAtTheFirstFileAlone_EvenAtWhatTheIndexDoesNotName()
    {
        File.WriteAllText(_folder.File("config.json"), "{}");
        File.WriteAllText(_folder.File(Checkpoint.IndexFileName), """{"weight_map": {"w": "b", "x": "a"}}""");
        SafetensorsWriter.Write(_folder.File("a"), [new("x", DType.I32, [1], new byte[4]), new("extra", DType.F16, [1], new byte[2])]);
        SafetensorsWriter.Write(_folder.File("b"), [new("w", DType.BF16, [1], new byte[2])]);

        Assert.Equal(DType.F16, DTypeResolution.Resolve("auto", Checkpoint.Open(_folder.Path)));
    }

    [Fact]
    public void Auto_OfIntegersAlone_IsSingle()
    {
        File.WriteAllText(_folder.File("config.json"), "{}");
        SafetensorsWriter.Write(_folder.File("model.safetensors"), [new("i", DType.I64, [1], new byte[8])]);

        Assert.Equal(DType.F32, DTypeResolution.Resolve("auto", Checkpoint.Open(_folder.Path)));
    }

    [Fact]
    public void TypesThatNothingComputesIn_AreRefusedWithTheirPlace()
    {
        Sentence.AssertThrown(
            () => DTypeResolution.Resolve("int8", ModelConfig.Parse("{}")), "\"int8\"", "auto, float32");
        Sentence.AssertThrown(
            () => DTypeResolution.Resolve("auto", ModelConfig.Parse("""{"dtype": "float64"}""", "/m/config.json")),
            "/m/config.json",
            "\"float64\"",
            "--dtype");
        File.WriteAllText(_folder.File("config.json"), "{}");
        SafetensorsWriter.Write(_folder.File("model.safetensors"), [new("w", DType.F8E4M3, [1], new byte[1])]);
        Sentence.AssertThrown(
            () => DTypeResolution.Resolve("auto", Checkpoint.Open(_folder.Path)),
            _folder.File("model.safetensors"),
            "tensor \"w\"",
            "\"float8_e4m3fn\"");
    }
}
