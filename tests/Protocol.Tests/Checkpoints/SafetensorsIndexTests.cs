using TensorParallel.Protocol.Checkpoints;
using TensorParallel.TestKit;
using Xunit;

namespace TensorParallel.Protocol.Tests.Checkpoints;

public sealed class SafetensorsIndexTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly string _path;

    public SafetensorsIndexTests()
    {
        _path = _folder.File(Checkpoint.IndexFileName);
        SafetensorsWriter.Write(
            _folder.File("one.safetensors"),
            [new("a", DType.U8, [2], new byte[2]), new("unlisted", DType.U8, [2], new byte[2])]);
        SafetensorsWriter.Write(_folder.File("two.safetensors"), [new("b", DType.U8, [3], new byte[3])]);
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void ReadShards_GivesExactlyWhatTheMapNames()
    {
        var index = Index("""
            {
              "metadata": {"total_size": 5, "dtype": "float16"},
              "weight_map": {"b": "two.safetensors", "a": "one.safetensors"}
            }
            """);

        var tensors = index.ReadShards();

        Assert.Equal(["one.safetensors", "two.safetensors"], index.ShardNames);
        Assert.Equal("float16", index.DTypeName);
        Assert.Equal(["a", "b"], tensors.Keys.Order());
        Assert.Equal(_folder.File("two.safetensors"), tensors["b"].File);
    }

    [Fact]
    public void ReadShards_FollowsALinkedShard()
    {
        using var blobs = new TemporaryFolder();
        SafetensorsWriter.Write(blobs.File("0a1b2c"), [new("c", DType.U8, [1], [1])]);
        File.CreateSymbolicLink(_folder.File("linked.safetensors"), blobs.File("0a1b2c"));

        Assert.Equal(1, Index("""{"weight_map": {"c": "linked.safetensors"}}""").ReadShards()["c"].Bytes);
    }

    [Theory]
    [InlineData("../one.safetensors")]
    [InlineData("sub/one.safetensors")]
    [InlineData("/etc/passwd")]
    [InlineData("sub\\\\one.safetensors")]
    [InlineData("C:one.safetensors")]
    [InlineData("..")]
    [InlineData(".")]
    [InlineData("")]
    [InlineData("one\\u0000.safetensors")]
    public void Read_RefusesAShardOutsideTheFolder(string shard) => Sentence.AssertThrown(
        () => Index($$"""{"weight_map": {"b": "two.safetensors", "a": "{{shard}}"} }"""),
        _path,
        "tensor \"a\"",
        "is not a plain file name");

    [Theory]
    [InlineData("""{"weight_map": {"a": 1}}""", "tensor \"a\": \"1\" is not a plain file name")]
    [InlineData("""{"weight_map": {"a": null}}""", "tensor \"a\": \"null\" is not a plain file name")]
    [InlineData("""{"weight_map": []}""", "\"weight_map\" is missing or not an object")]
    [InlineData("""{"metadata": {}}""", "\"weight_map\" is missing or not an object")]
    [InlineData("""{"weight_map": {}}""", "\"weight_map\" names no tensor")]
    [InlineData("""{"weight_map": {"a": "x", "a": "y"}}""", "not valid JSON")]
    [InlineData("""[]""", "is Array, not an object")]
    [InlineData("", "not valid JSON")]
    public void Read_RefusesABrokenIndex(string json, string complaint) =>
        Sentence.AssertThrown(() => Index(json), _path, complaint);

    [Fact]
    public void ReadShards_SaysWhichShardIsMissing() => Sentence.AssertThrown(
        () => Index("""{"weight_map": {"a": "one.safetensors", "y": "gone", "x": "gone"}}""").ReadShards(),
        _folder.File("gone"),
        _path,
        "tensor \"x\" and 1 more");

    [Fact]
    public void ReadShards_SaysWhichTensorIsNotInItsShard() => Sentence.AssertThrown(
        () => Index("""{"weight_map": {"a": "one.safetensors", "b": "one.safetensors"}}""").ReadShards(),
        _folder.File("one.safetensors"),
        "tensor \"b\" is not in this shard",
        Checkpoint.IndexFileName);

    [Fact]
    public void ReadShards_PassesOnWhatIsWrongWithAShard()
    {
        SafetensorsWriter.WriteRaw(
            _folder.File("two.safetensors"), """{"b":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}""", dataBytes: 2);

        Sentence.AssertThrown(
            () => Index("""{"weight_map": {"b": "two.safetensors"}}""").ReadShards(),
            _folder.File("two.safetensors"),
            "tensor \"b\"",
            "cut short");
    }

    private SafetensorsIndex Index(string json)
    {
        File.WriteAllText(_path, json);
        return SafetensorsIndex.Read(_path);
    }
}
