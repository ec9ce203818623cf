using TensorParallel.Coordinator.Planning.DeviceMaps;
using TensorParallel.Coordinator.Planning.ModuleTrees;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;
using TensorParallel.TestKit;
using Xunit;

namespace TensorParallel.Coordinator.Tests.Planning.DeviceMaps;

public sealed class CustomMapTests
{
    private const string Memory = "0=12GiB,1=12GiB";

    [Fact]
    public void DevicesAreNumbersOrTorchsNames()
    {
        var map = Read("""{ "model.embed_tokens": 0, "model.layers": "cuda:1", "model.norm": "1", "lm_head": "cpu" }""", "0=12GiB,1=14GiB");

        Assert.Equal(
            [("model.embed_tokens", "0"), ("model.layers", "1"), ("model.norm", "1"), ("lm_head", "cpu")],
            map.Entries.Select(entry => (entry.Key, entry.Value)));
        Assert.Equal("1", map.PlaceOf("model.layers.17.mlp.up_proj.weight"));
    }

    [Fact]
    public void AFileIsReadToo()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.File("map.json"), """{ "": "0" }""");

        Assert.Equal("0", Read(folder.File("map.json"), "0=30GiB").PlaceOf("lm_head"));
    }

    [Theory]
    [InlineData("""{ "model.embed_tokens": 0, "model.norm": 0, "lm_head": 0 }""", "gives no device to 288 of 291 parameters: model.layers.0.self_attn.q_proj.weight, ")]
    [InlineData("""{ "model": 0, "model.layers.3": 1, "lm_head": 1 }""", "places \"model.layers.3\" twice: on 1, and with \"model\" on 0")]
    [InlineData("""{ "model": 0, "model": 1, "lm_head": 1 }""", "model")]
    [InlineData("""{ "model": 0, "lm_heed": 1, "lm_head": 1 }""", "names \"lm_heed\", which is no module of this model. Did you mean lm_head?")]
    [InlineData("""{ "model": 0, "lm_head": 7 }""", "puts \"lm_head\" on device 7, which is not there; there are 0, 1.")]
    [InlineData("""{ "model": 0, "lm_head": "tpu" }""", "puts \"lm_head\" on \"tpu\", which is no device")]
    [InlineData("""{ "model": 0, "lm_head": -1 }""", "puts \"lm_head\" on \"-1\", which is no device")]
    [InlineData("""{ "model": 0, "lm_head": 1 }""", "puts 15009849600 bytes (14.0 GiB) on 0, whose budget is 12884901888 (12.0 GiB).")]
    [InlineData("{ nonsense", "not valid JSON")]
    [InlineData("balancd", "neither fit, auto, balanced, balanced_low_0, sequential, nor an inline JSON object, nor a file")]
    public void Mistakes_AreSaidWithNumbers(string text, string expected)
    {
        var problems = Assert.Throws<PlanException>(() => Read(text)).Problems;

        Assert.Contains(problems, problem => problem.Contains(expected, StringComparison.Ordinal));
    }

    [Fact]
    public void InsideAPlacedModule_TheSamePlaceMayBeSaidAgain()
    {
        var map = Read("""{ "model": 0, "model.layers.3": 0, "lm_head": 1 }""", "0=20GiB,1=12GiB");

        Assert.Equal(16_060_522_752, map.BytesByPlace(Sizes()).Sum(place => place.Value));
    }

    [Fact]
    public void EveryGoldenMapOfAModel_IsACustomMapToo()
    {
        var sizes = Sizes();
        foreach (var strategy in DeviceMapStrategy.All)
        {
            var placed = strategy.Place(sizes, MaxMemory.Parse("0=5GiB,1=6GiB,cpu=2GiB"));
            var json = "{" + string.Join(",", placed.Map.Entries.Select(entry => $"\"{entry.Key}\": \"{entry.Value}\"")) + "}";

            Assert.Equal(placed.Map.Entries, CustomMap.Read(json, sizes, MaxMemory.Parse("0=5GiB,1=6GiB,cpu=2GiB")).Entries);
        }
    }

    private static ModuleSizes Sizes() => new(EstimateCases.Tree("llama-3.1-8b"), DType.BF16);

    private static DeviceMap Read(string text, string memory = Memory) => CustomMap.Read(text, Sizes(), MaxMemory.Parse(memory));
}
