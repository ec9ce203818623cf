using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.TestKit;
using Xunit;

namespace TensorParallel.Protocol.Tests.Architectures;

public sealed class ModelSpecTensorsTests
{
    [Theory]
    [InlineData("llama")]
    [InlineData("llama_bias")]
    [InlineData("llama_tied_hd64")]
    public void GoldenCheckpoints_HaveExactlyTheirTensors(string family) =>
        AssertComplete(RepositoryPaths.Golden(family));

    [Fact]
    public void TheDemoModel_HasExactlyItsTensors() => AssertComplete(RepositoryPaths.DemoModel);

    [Fact]
    public void ATiedCheckpoint_MayHoldTheHeadInsteadOfTheEmbedding()
    {
        using var folder = new TemporaryFolder();
        var (checkpoint, spec) = Rewritten(folder, tied: true, entries => entries
            .Select(entry => entry.Name == "model.embed_tokens.weight"
                ? entry with { Name = "lm_head.weight" }
                : entry));

        Assert.Equal("lm_head.weight", ModelSpecTensors.Locate(spec, checkpoint)["model.embed_tokens.weight"].Name);
    }

    [Fact]
    public void ExtraTensors_AreLeftAlone()
    {
        using var folder = new TemporaryFolder();
        var (checkpoint, spec) = Rewritten(folder, tied: false, entries => entries
            .Append(new("model.layers.0.self_attn.rotary_emb.inv_freq", DType.F32, [8], new byte[32])));

        Assert.Equal(21, ModelSpecTensors.Locate(spec, checkpoint).Count);
    }

    [Fact]
    public void MissingTensors_WrongShapesAndDtypes_AreReportedAllAtOnce()
    {
        using var folder = new TemporaryFolder();
        var (checkpoint, spec) = Rewritten(folder, tied: false, entries => entries
            .Where(entry => entry.Name is not ("lm_head.weight" or "model.layers.1.mlp.up_proj.weight"))
            .Select(entry => entry.Name switch
            {
                "model.norm.weight" => new(entry.Name, DType.I8, [64], new byte[64]),
                "model.layers.0.self_attn.k_proj.weight" => new(entry.Name, DType.F32, [32, 64], new byte[32 * 64 * 4]),
                _ => entry,
            }));

        var exception = Assert.Throws<CheckpointException>(() => ModelSpecTensors.Locate(spec, checkpoint));

        var file = Path.Combine(folder.Path, "model.safetensors");
        Assert.Equal(
            [
                $"{file}: tensor \"model.layers.0.self_attn.k_proj.weight\" has shape [32, 64] but config.json asks " +
                "for [64, 64].",
                $"{folder.Path}: tensor \"model.layers.1.mlp.up_proj.weight\" of shape [176, 64] is missing.",
                $"{file}: tensor \"model.norm.weight\" is of dtype I8, but only F32, BF16 and F16 weights can be " +
                "loaded.",
                $"{folder.Path}: tensor \"lm_head.weight\" of shape [256, 64] is missing.",
            ],
            exception.Message.Split(Environment.NewLine));
    }

    [Fact]
    public void AFolderOfAnotherModel_IsNotAThousandLines()
    {
        using var folder = new TemporaryFolder();
        var (checkpoint, spec) = Rewritten(folder, tied: false, _ => [new("x", DType.F32, [1], new byte[4])]);

        var lines = Assert.Throws<CheckpointException>(() => ModelSpecTensors.Locate(spec, checkpoint)).Message
            .Split(Environment.NewLine);

        Assert.Equal(21, lines.Length);
        Assert.Equal("… and 1 more tensors.", lines[^1]);
    }

    private static void AssertComplete(string folder)
    {
        var checkpoint = Checkpoint.Open(folder);
        var spec = ArchitectureCatalog.Describe(checkpoint.Config);

        var located = ModelSpecTensors.Locate(spec, checkpoint);

        Assert.Equal(
            checkpoint.Tensors.Keys.Order(StringComparer.Ordinal),
            located.Values.Select(tensor => tensor.Name).Order(StringComparer.Ordinal));
        Assert.Equal(checkpoint.TotalBytes, located.Values.Sum(tensor => tensor.Bytes));
    }

    // A tiny checkpoint of one file, its tensors zeros, changed as a test wants.
    private static (Checkpoint Checkpoint, ModelSpec Spec) Rewritten(
        TemporaryFolder folder, bool tied, Func<IEnumerable<SafetensorsEntry>, IEnumerable<SafetensorsEntry>> change)
    {
        TinyCheckpoint.Write(folder.Path, new TinyCheckpointOptions { Tied = tied });
        var entries = Checkpoint.Open(folder.Path).Tensors.Values
            .Select(t => new SafetensorsEntry(t.Name, t.DType, [.. t.Shape], new byte[t.Bytes]))
            .ToList();
        SafetensorsWriter.Write(folder.File("model.safetensors"), [.. change(entries)]);
        var checkpoint = Checkpoint.Open(folder.Path);
        return (checkpoint, ArchitectureCatalog.Describe(checkpoint.Config));
    }
}
