using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;
using Xunit;

namespace TensorParallel.Protocol.Tests.Parallel;

public sealed class OffloadGroupsTests
{
    [Fact]
    public void ConsecutiveBlocks_ShareAGroup_UpToTheNumberAsked() => Assert.Equal(
        ["10+11", "12+13", "14"], Names(Groups(OffloadKind.Group, 2, Blocks(10, 11, 12, 13, 14))));

    [Theory]
    [InlineData(OffloadKind.Sequential, "3|4|5|head")]
    [InlineData(OffloadKind.Model, "3+4+5|head")]
    [InlineData(OffloadKind.Group, "3+4+5|head")]
    public void KindsDiffer_AndTheHeadIsAlone(OffloadKind kind, string expected) => Assert.Equal(
        expected.Split('|'), Names(Groups(kind, kind == OffloadKind.Group ? 8 : 1, [.. Blocks(3, 4, 5), Module("lm_head")])));

    [Fact]
    public void AResidentBlock_OrAnotherPlace_EndsAGroup()
    {
        List<OffloadedModule> modules = [.. Blocks(1, 2, 4), new("model.layers.5", Residency.Disk, 0)];

        var groups = Groups(OffloadKind.Model, 1, modules);

        Assert.Equal(["1+2", "4", "5"], Names(groups));
        Assert.Equal([Residency.Host, Residency.Host, Residency.Disk], groups.Select(group => group.Residency));
    }

    [Fact]
    public void AnEmbeddingTakesNoSlot_ButTheTiedHeadTakesItsTable()
    {
        Assert.Empty(Groups(OffloadKind.Group, 1, [Module("model.embed_tokens")]));
        var tied = Assert.Single(Groups(OffloadKind.Group, 1, [Module("model.embed_tokens"), Module("lm_head")], tied: true));
        Assert.Equal(OffloadGroups.Align(100 * 24 * 2), tied.Bytes);
    }

    [Fact]
    public void RandomModules_AreAllInOneGroup_AlignedAndInOrder()
    {
        var seed = Random.Shared.Next();
        var random = new Random(seed);
        for (var i = 0; i < 500; i++)
        {
            List<OffloadedModule> modules =
            [
                .. Enumerable.Range(0, 16).Where(_ => random.Next(2) == 0)
                    .Select(layer => new OffloadedModule($"model.layers.{layer}", random.Next(3) == 0 ? Residency.Disk : Residency.Host, 0)),
            ];
            var kind = Enum.GetValues<OffloadKind>()[random.Next(3)];
            var most = kind == OffloadKind.Group ? random.Next(1, 5) : 1;

            var groups = Groups(kind, most, modules);

            Assert.Equal(modules.Select(module => module.Name), groups.SelectMany(group => group.Modules));
            Assert.All(groups, group => Assert.Equal(group.Modules.Count * groups[0].Bytes / groups[0].Modules.Count, group.Bytes));
            Assert.All(groups, group => Assert.Equal(0, group.Bytes % OffloadGroups.Alignment));
            Assert.All(groups, group => Assert.Single(modules.Where(m => group.Modules.Contains(m.Name)).Select(m => m.Residency).Distinct()));
            Assert.True(kind == OffloadKind.Model || groups.All(group => group.Modules.Count <= most), $"seed {seed}, case {i}");
        }
    }

    [Theory]
    [InlineData(0, 0)]
    [InlineData(1, 256)]
    [InlineData(256, 256)]
    [InlineData(257, 512)]
    public void Sizes_AreRoundedUp(long bytes, long aligned) => Assert.Equal(aligned, OffloadGroups.Align(bytes));

    private static IReadOnlyList<OffloadGroup> Groups(
        OffloadKind kind, int blocks, IReadOnlyList<OffloadedModule> modules, bool tied = false)
    {
        var spec = Spec(tied);
        var tensors = ModelSpecTensors.Of(spec).Select(tensor => new TensorSlice(tensor.Name, "replicate", null, [], tensor.Elements * 2));
        return OffloadGroups.Of(spec, kind, blocks, modules, [.. tensors]);
    }

    private static IEnumerable<string> Names(IReadOnlyList<OffloadGroup> groups) =>
        groups.Select(group => string.Join('+', group.Modules.Select(name => name == "lm_head" ? "head" : name.Split('.')[^1])));

    private static OffloadedModule[] Blocks(params int[] layers) => [.. layers.Select(layer => Module($"model.layers.{layer}"))];

    private static OffloadedModule Module(string name) => new(name, Residency.Host, 0);

    private static ModelSpec Spec(bool tied) => ArchitectureCatalog.Describe(ModelConfig.Parse($$"""
        {
          "model_type": "llama", "num_hidden_layers": 16, "hidden_size": 24, "num_attention_heads": 2, "num_key_value_heads": 1,
          "head_dim": 8, "intermediate_size": 40, "vocab_size": 100, "max_position_embeddings": 64,
          "tie_word_embeddings": {{(tied ? "true" : "false")}}
        }
        """));
}
