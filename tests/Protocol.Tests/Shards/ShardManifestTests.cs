using System.Text.Json.Nodes;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;
using TensorParallel.Protocol.Shards;
using TensorParallel.Protocol.Tests.Checkpoints;
using TensorParallel.TestKit;
using Xunit;

namespace TensorParallel.Protocol.Tests.Shards;

public sealed class ShardManifestTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private ShardManifest Sample => new(
        _folder.Path,
        1024,
        [new SourceFile("model.safetensors", 12, new DateTime(638_000_000_000_000_007, DateTimeKind.Utc), UInt128.MaxValue, 1)],
        [
            new RankShard("rank-00000-of-00002.safetensors", 4100, 3, [new ShardTensor("w", DType.BF16, 0, [new IndexRange(0, 2), new IndexRange(4, 5)], [7, 8])]),
            new RankShard("rank-00001-of-00002.safetensors", 4098, 4, [new ShardTensor("w", DType.BF16, null, [], [])]),
        ]);

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void ReadsBackWhatWasWritten()
    {
        Write(Sample.ToJson());

        var read = ShardManifest.Read(_folder.Path);

        Assert.Equal(Sample.ToJson(), read.ToJson());
        Assert.Equal((_folder.Path, 1024, 8198L), (read.Folder, read.PieceBytes, read.Bytes));
        Assert.Equal(Sample.Sources, read.Sources);
    }

    [Theory]
    [InlineData("version", "2", "version")]
    [InlineData("piece_bytes", "0", "piece_bytes")]
    [InlineData("more", "1", "unknown")]
    [InlineData("sources", "[{}]", "name")]
    [InlineData("sources", """[{"name": "../a", "bytes": 1, "modified": "x", "header_hash": "", "content_hash": ""}]""", "plain file name")]
    [InlineData("sources", """[{"name": "a", "bytes": -1, "modified": "x", "header_hash": "", "content_hash": ""}]""", "bytes")]
    [InlineData("sources", """[{"name": "a", "bytes": 1, "modified": "yesterday", "header_hash": "", "content_hash": ""}]""", "modified")]
    [InlineData("ranks", """[{"file": "a/b", "bytes": 1, "header_hash": "", "tensors": []}]""", "plain file name")]
    [InlineData("ranks", """[{"file": "a", "bytes": 1, "header_hash": "12", "tensors": []}]""", "hexadecimal")]
    public void AnythingElseIsRefused(string key, string value, string word)
    {
        var json = JsonNode.Parse(Sample.ToJson())!.AsObject();
        json[key] = JsonNode.Parse(value);
        Write(System.Text.Encoding.UTF8.GetBytes(json.ToJsonString()));

        Sentence.AssertThrown(() => ShardManifest.Read(_folder.Path), _folder.File(ShardFolder.ManifestName), word, "coordinator shard");
    }

    [Fact]
    public void AKeyNamesTheCutAndTheDTypeAndNothingElse()
    {
        var plan = SamplePlan();
        var key = ShardFolder.Key(plan);

        Assert.Matches("^[0-9a-f]{32}$", key);
        Assert.Equal(key, ShardFolder.Key(plan with { Limits = plan.Limits with { KvBlocks = plan.Limits.KvBlocks + 1 } }));
        Assert.Equal(key, ShardFolder.Key(WithRank(plan, rank => rank with { Device = "cuda:7", KvBytes = 1 })));
        Assert.NotEqual(key, ShardFolder.Key(plan with { DType = plan.DType == DType.F16 ? DType.BF16 : DType.F16 }));
        Assert.NotEqual(key, ShardFolder.Key(WithRank(plan, rank => rank with { Tensors = [.. rank.Tensors.Skip(1)] })));
        Assert.NotEqual(key, ShardFolder.Key(WithRank(plan, rank => rank with
        {
            Tensors = [rank.Tensors[0] with { Dim = 1, Ranges = [new IndexRange(3, 4)] }, .. rank.Tensors.Skip(1)],
        })));
    }

    [Fact]
    public void TheHashOfAFileDependsOnEveryByteAndNotOnThreads()
    {
        var path = _folder.File("f");
        var bytes = new byte[(2 * ContentHash.PieceBytes) + 17];
        new Random(1).NextBytes(bytes);
        File.WriteAllBytes(path, bytes);
        var whole = ContentHash.OfFile(path, 1, TestContext.Current.CancellationToken);

        Assert.Equal(whole, ContentHash.OfFile(path, 4, TestContext.Current.CancellationToken));
        foreach (var at in (int[])[0, ContentHash.PieceBytes - 1, ContentHash.PieceBytes, bytes.Length - 1])
        {
            bytes[at] ^= 1;
            File.WriteAllBytes(path, bytes);
            Assert.NotEqual(whole, ContentHash.OfFile(path, 4, TestContext.Current.CancellationToken));
            bytes[at] ^= 1;
        }

        Assert.True(ContentHash.TryParse(ContentHash.Text(whole), out var read));
        Assert.Equal(whole, read);
    }

    private static ExecutionPlan SamplePlan() => Parallel.SamplePlan.TensorParallel;

    private static ExecutionPlan WithRank(ExecutionPlan plan, Func<RankPlan, RankPlan> change) =>
        plan with { Ranks = [change(plan.Ranks[0]), .. plan.Ranks.Skip(1)] };

    private void Write(byte[] json) => File.WriteAllBytes(_folder.File(ShardFolder.ManifestName), json);
}
