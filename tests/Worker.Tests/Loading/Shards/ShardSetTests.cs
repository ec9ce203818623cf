using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;
using TensorParallel.Protocol.Shards;
using TensorParallel.TestKit;
using TensorParallel.Worker.Loading.Shards;
using TensorParallel.Worker.Tests.Execution;
using Xunit;

namespace TensorParallel.Worker.Tests.Loading.Shards;

public class ShardSetTests
{
    private const string PackedPlan = """
        {"layers.*.self_attn.q_proj": "colwise", "layers.*.self_attn.k_proj": "colwise", "layers.*.self_attn.v_proj": "colwise",
         "layers.*.self_attn.o_proj": "rowwise", "layers.*.mlp.gate_proj": "colwise", "layers.*.mlp.up_proj": "colwise",
         "layers.*.mlp.down_proj": "rowwise", "lm_head": "colwise_gather_output", "embed_tokens": "embedding_rowwise"}
        """;

    [Theory]
    [InlineData("llama", 1, DType.F32, false)]
    [InlineData("llama", 2, DType.BF16, false)]
    [InlineData("llama", 3, DType.F32, false)]
    [InlineData("llama", 2, DType.F16, true)]
    [InlineData("llama_tied_hd64", 2, DType.BF16, false)]
    [InlineData("llama_tied_hd64", 2, DType.F32, true)]
    [InlineData("llama_bias", 3, DType.BF16, false)]
    public void ShardsHoldByteForByteWhatTheCheckpointGives(string family, int ranks, DType dtype, bool useDeviceMap)
    {
        var model = RepositoryPaths.Golden(family);
        AssertSame(model, GroupRun.Plan(model, ranks, dtype, useDeviceMap));
    }

    [Fact]
    public void CutsOfACustomPlanToo()
    {
        var model = RepositoryPaths.Golden("llama");
        AssertSame(model, GroupRun.Plan(model, 2, DType.F32, tpPlan: PackedPlan));
    }

    [Fact]
    public void EachFileIsASoundSafetensorsFileInLoadOrder()
    {
        var model = RepositoryPaths.Golden("llama");
        using var shards = new ShardCase(model, GroupRun.Plan(model, 3, DType.BF16));
        foreach (var rank in shards.Plan.Ranks)
        {
            var header = SafetensorsHeader.Read(shards.FileOf(rank.Rank));

            Assert.Equal(0, header.DataStart % 4096);
            Assert.Equal(rank.Tensors.Select(slice => slice.Name), header.InFileOrder.Select(tensor => tensor.Name));
            Assert.Equal(rank.Tensors.Select(slice => slice.Bytes), header.InFileOrder.Select(tensor => tensor.Bytes));
            Assert.All(header.InFileOrder, tensor => Assert.Equal(DType.BF16, tensor.DType));
        }

        Assert.False(Directory.Exists(ShardFolder.Partial(shards.Set)));
    }

    [Fact]
    public void EveryCorruptedByteIsNoticed()
    {
        var model = RepositoryPaths.Golden("llama");
        using var shards = new ShardCase(model, GroupRun.Plan(model, 2, DType.BF16));
        var random = new Random(1);
        foreach (var rank in (int[])[0, 1])
        {
            var path = shards.FileOf(rank);
            var sound = File.ReadAllBytes(path);
            foreach (var at in (int[])[0, 9, 4095, 4096, sound.Length - 1, .. Enumerable.Range(0, 12).Select(_ => random.Next(sound.Length))])
            {
                var broken = (byte[])sound.Clone();
                broken[at] ^= (byte)(1 << random.Next(8));
                File.WriteAllBytes(path, broken);

                var error = LoadError(shards);

                Assert.Contains(path, error.Message, StringComparison.Ordinal);
                Assert.True(at < 4096 || error.Message.Contains("tensor \"", StringComparison.Ordinal), error.Message);
                Assert.True(at < 9 || error.Message.Contains($"ank {rank}", StringComparison.Ordinal), error.Message);
            }

            File.WriteAllBytes(path, sound);
        }

        Assert.Equal(2, ShardCase.Load(model, shards.Plan, shards.Set).Length);
    }

    [Fact]
    public void AChangedManifestIsNoticed()
    {
        var model = RepositoryPaths.Golden("llama");
        using var shards = new ShardCase(model, GroupRun.Plan(model, 2, DType.BF16));
        var path = Path.Combine(shards.Set, ShardFolder.ManifestName);
        var sound = File.ReadAllText(path);
        string[] from = ["\"dtype\": \"BF16\"", "\"piece_bytes\": 4194304", "\"header_hash\": \"", "\"version\": 1"];
        string[] to = ["\"dtype\": \"F16\"", "\"piece_bytes\": 4194", "\"header_hash\": \"0", "\"version\": 3"];
        foreach (var (was, becomes) in from.Zip(to))
        {
            Assert.Contains(was, sound, StringComparison.Ordinal);
            File.WriteAllText(path, sound.Replace(was, becomes, StringComparison.Ordinal));

            LoadError(shards);
        }

        var manifest = ShardManifest.Read(Restore());
        var tensor = manifest.Ranks[0].Tensors[3];
        File.WriteAllText(path, sound.Replace(ContentHash.Text(tensor.Hashes[0]), ContentHash.Text(tensor.Hashes[0] ^ 1), StringComparison.Ordinal));
        Assert.Contains($"tensor \"{tensor.Name}\"", LoadError(shards).Message, StringComparison.Ordinal);

        string Restore()
        {
            File.WriteAllText(path, sound);
            return shards.Set;
        }
    }

    [Fact]
    public void AnotherCutIsRefused()
    {
        var model = RepositoryPaths.Golden("llama");
        using var shards = new ShardCase(model, GroupRun.Plan(model, 2, DType.BF16));
        var error = Assert.Throws<AggregateException>(() => ShardCase.Load(model, GroupRun.Plan(model, 2, DType.F32), shards.Set));

        Assert.All(error.InnerExceptions, inner => Assert.Contains("another plan", Assert.IsType<CheckpointException>(inner).Message, StringComparison.Ordinal));
    }

    [Fact]
    public void WhatIsStoppedLeavesNothing()
    {
        var model = RepositoryPaths.Golden("llama");
        using var shards = new ShardCase(model, GroupRun.Plan(model, 2, DType.BF16), write: false);
        using var stop = new CancellationTokenSource();

        Assert.Throws<OperationCanceledException>(() => new ShardSetWriter(model, shards.Plan, shards.Set, 2).Write(
            (_, _) => stop.Cancel(), stop.Token));

        Assert.Empty(Directory.GetFileSystemEntries(shards.Root));
    }

    [Fact]
    public void LeftoversAndOldSetsAreReplaced()
    {
        var model = RepositoryPaths.Golden("llama");
        using var shards = new ShardCase(model, GroupRun.Plan(model, 2, DType.BF16), write: false);
        Directory.CreateDirectory(ShardFolder.Partial(shards.Set));
        Directory.CreateDirectory(shards.Set);
        File.WriteAllText(Path.Combine(shards.Set, "old"), "");
        File.WriteAllText(Path.Combine(ShardFolder.Partial(shards.Set), "left over"), "");

        shards.Write();

        Assert.Equal([shards.Set], Directory.GetFileSystemEntries(shards.Root));
        Assert.Equal(3, Directory.GetFiles(shards.Set).Length);
    }

    [Fact]
    public void ADiskThatCannotTakeItIsOneSentence()
    {
        using var folder = new TemporaryFolder();
        var error = ShardDisk.Failed(folder.File("rank"), 1234, new IOException("No space left on device."));

        Assert.Contains("No space left on device; the shards need 1,234 bytes, ", error.Message, StringComparison.Ordinal);
        Assert.Contains(" are free there now: make room or give another place with --output", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void SpaceThatNoDiskHasIsRefusedBeforeAnythingIsWritten()
    {
        using var folder = new TemporaryFolder();
        var path = folder.File("rank");

        var error = Assert.Throws<ShardException>(() => new ShardFile(path, 1L << 50, 1L << 50));

        Assert.StartsWith($"{path}: cannot be written: ", error.Message, StringComparison.Ordinal);
        Assert.Contains("the shards need 1,125,899,906,842,624 bytes", error.Message, StringComparison.Ordinal);
        Assert.False(File.Exists(path));
    }

    private static void AssertSame(string model, ExecutionPlan plan)
    {
        using var shards = new ShardCase(model, plan);
        var direct = ShardCase.Load(model, plan, shards: null);
        var cut = ShardCase.Load(model, plan, shards.Set);
        foreach (var (of, from) in direct.Zip(cut))
        {
            Assert.Equal(of.Keys.Order(), from.Keys.Order());
            Assert.All(of, tensor => Assert.True(tensor.Value.AsSpan().SequenceEqual(from[tensor.Key]), tensor.Key));
        }
    }

    private static CheckpointException LoadError(ShardCase shards)
    {
        var error = Assert.Throws<AggregateException>(() => ShardCase.Load(shards.Model, shards.Plan, shards.Set));
        return error.InnerExceptions.OfType<CheckpointException>().First();
    }
}
