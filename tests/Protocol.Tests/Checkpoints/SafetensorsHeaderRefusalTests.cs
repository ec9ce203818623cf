using System.Buffers.Binary;
using System.IO.Pipes;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.TestKit;
using Xunit;

namespace TensorParallel.Protocol.Tests.Checkpoints;

public sealed class SafetensorsHeaderRefusalTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("""{"w":{"dtype":"Q4","shape":[2],"data_offsets":[0,4]}}""", "\"Q4\" is not a safetensors dtype")]
    [InlineData("""{"w":{"dtype":"bf16","shape":[2],"data_offsets":[0,4]}}""", "\"bf16\" is not a safetensors dtype")]
    [InlineData("""{"w":{"dtype":7,"shape":[2],"data_offsets":[0,4]}}""", "\"dtype\" is missing or not a string")]
    [InlineData("""{"w":{"shape":[2],"data_offsets":[0,4]}}""", "\"dtype\" is missing or not a string")]
    [InlineData("""{"w":{"dtype":"BF16","data_offsets":[0,4]}}""", "\"shape\" is missing or not an array")]
    [InlineData("""{"w":{"dtype":"BF16","shape":2,"data_offsets":[0,4]}}""", "\"shape\" is missing or not an array")]
    [InlineData("""{"w":{"dtype":"BF16","shape":[-2],"data_offsets":[0,4]}}""", "\"shape\" holds \"-2\"")]
    [InlineData("""{"w":{"dtype":"BF16","shape":[2.5],"data_offsets":[0,4]}}""", "\"shape\" holds \"2.5\"")]
    [InlineData("""{"w":{"dtype":"BF16","shape":["2"],"data_offsets":[0,4]}}""", "\"shape\" holds \"\"2\"\"")]
    [InlineData("""{"w":{"dtype":"BF16","shape":[9223372036854775808],"data_offsets":[0,4]}}""", "\"shape\" holds")]
    [InlineData(
        """{"w":{"dtype":"BF16","shape":[4294967296,4294967296],"data_offsets":[0,4]}}""",
        "more elements than")]
    [InlineData("""{"w":{"dtype":"BF16","shape":[4611686018427387904],"data_offsets":[0,4]}}""", "more elements than")]
    [InlineData("""{"w":{"dtype":"F4","shape":[3],"data_offsets":[0,2]}}""", "does not fill whole bytes")]
    [InlineData("""{"w":{"dtype":"BF16","shape":[2]}}""", "\"data_offsets\" is missing or not an array")]
    [InlineData("""{"w":{"dtype":"BF16","shape":[2],"data_offsets":[0]}}""", "is not a pair [begin, end]")]
    [InlineData("""{"w":{"dtype":"BF16","shape":[2],"data_offsets":[0,4,8]}}""", "is not a pair [begin, end]")]
    [InlineData("""{"w":{"dtype":"BF16","shape":[2],"data_offsets":[4,0]}}""", "is not a pair [begin, end]")]
    [InlineData("""{"w":{"dtype":"BF16","shape":[2],"data_offsets":[-4,0]}}""", "\"data_offsets\" holds \"-4\"")]
    [InlineData(
        """{"w":{"dtype":"BF16","shape":[3],"data_offsets":[0,4]}}""",
        "takes 6 bytes but \"data_offsets\" [0, 4] spans 4")]
    [InlineData("""{"w":{"dtype":"BF16","shape":[4],"data_offsets":[0,8]}}""", "4 bytes after the end of the file")]
    [InlineData(
        """{"w":{"dtype":"BF16","shape":[2],"data_offsets":[9223372036854775803,9223372036854775807]}}""",
        "after the end of the file")]
    [InlineData("""{"w":{"dtype":"BF16","shape":[2],"data_offsets":[0,4],"note":1}}""", "unknown key \"note\"")]
    [InlineData("""{"w":[]}""", "the header entry is not an object")]
    [InlineData(
        """{"w":{"dtype":"U8","shape":[3],"data_offsets":[1,4]}}""",
        "1 bytes before tensor \"w\" belong to no tensor")]
    [InlineData(
        """{"w":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}""",
        "1 bytes after tensor \"w\" belong to no tensor")]
    [InlineData(
        """{"w":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},""" +
        """ "v":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}}""",
        "tensor \"v\" begins 1 bytes before the end of tensor \"w\"")]
    [InlineData(
        """{"w":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},""" +
        """ "v":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}""",
        "the two overlap")]
    public void Read_RefusesABrokenEntry_NamingFileAndTensor(string json, string complaint)
    {
        var path = _folder.File("broken.safetensors");
        SafetensorsWriter.WriteRaw(path, json, dataBytes: 4);

        Sentence.AssertThrown(() => SafetensorsHeader.Read(path), path, "tensor \"w\"", complaint);
    }

    [Theory]
    [InlineData(
        """{"w":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},""" +
        """ "w":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}""",
        "not valid JSON")]
    [InlineData("""{"w":{"dtype":"U8","dtype":"U8","shape":[0],"data_offsets":[0,0]}}""", "not valid JSON")]
    [InlineData(
        """{"w":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},""" +
        """ "\u0077":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}""",
        "not valid JSON")]
    [InlineData("""{"w":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},}""", "not valid JSON")]
    [InlineData("""{"w":/* */{}}""", "not valid JSON")]
    [InlineData("""{"w":""", "not valid JSON")]
    [InlineData("""{}{}""", "not valid JSON")]
    [InlineData("""{"\ud800":{}}""", "half a surrogate pair")]
    [InlineData("""[]""", "does not begin with")]
    [InlineData(""" {}""", "does not begin with")]
    [InlineData("", "does not begin with")]
    [InlineData("""{"__metadata__":[]}""", "\"__metadata__\" is not an object")]
    [InlineData("""{"__metadata__":{"n":1}}""", "\"__metadata__\": the value of \"n\" is not a string")]
    public void Read_RefusesABrokenHeader_NamingTheFile(string json, string complaint)
    {
        var path = _folder.File("broken.safetensors");
        SafetensorsWriter.WriteRaw(path, json, dataBytes: 0);

        Sentence.AssertThrown(() => SafetensorsHeader.Read(path), path, complaint);
    }

    [Fact]
    public void Read_RefusesTextThatIsNotUtf8()
    {
        var path = _folder.File("a.safetensors");
        File.WriteAllBytes(path, [4, 0, 0, 0, 0, 0, 0, 0, (byte)'{', (byte)'"', 0xC0, (byte)'"']);

        Sentence.AssertThrown(() => SafetensorsHeader.Read(path), path, "not valid UTF-8");
    }

    [Fact]
    public void Read_RefusesTheTextBehindAnUnclosedDepth()
    {
        var path = _folder.File("a.safetensors");
        SafetensorsWriter.WriteRaw(path, "{\"w\":" + new string('[', 100_000), dataBytes: 0);

        Sentence.AssertThrown(() => SafetensorsHeader.Read(path), path, "not valid JSON");
    }

    [Theory]
    [InlineData(0)]
    [InlineData(7)]
    public void Read_RefusesAFileWithoutALength(int bytes)
    {
        var path = _folder.File("a.safetensors");
        File.WriteAllBytes(path, new byte[bytes]);

        Sentence.AssertThrown(() => SafetensorsHeader.Read(path), path, $"{bytes} bytes are too few");
    }

    [Theory]
    [InlineData(9UL, "the header should have 9 bytes but the file has only 16")]
    [InlineData(100_000_000UL, "the header should have 100000000 bytes")]
    [InlineData(100_000_001UL, "not a safetensors file")]
    [InlineData(0x8000_0000_0000_0000UL, "not a safetensors file")]
    [InlineData(ulong.MaxValue, "not a safetensors file")]
    public void Read_RefusesAnImpossibleHeaderLength_WithoutAllocatingIt(ulong length, string complaint)
    {
        var path = _folder.File("a.safetensors");
        var file = new byte[16];
        BinaryPrimitives.WriteUInt64LittleEndian(file, length);
        File.WriteAllBytes(path, file);
        var before = GC.GetAllocatedBytesForCurrentThread();

        Sentence.AssertThrown(() => SafetensorsHeader.Read(path), path, complaint);

        Assert.True(GC.GetAllocatedBytesForCurrentThread() - before < 1_000_000);
    }

    [Fact]
    public void Read_RefusesATruncatedShard_NamingTheFirstTensorThatIsCut()
    {
        var path = _folder.File("a.safetensors");
        SafetensorsWriter.Write(
            path, [new("whole", DType.U8, [8], new byte[8]), new("cut", DType.U8, [8], new byte[8])]);
        using (var file = new FileStream(path, FileMode.Open))
        {
            file.SetLength(file.Length - 3);
        }

        Sentence.AssertThrown(
            () => SafetensorsHeader.Read(path), path, "tensor \"cut\"", "3 bytes after the end", "cut short");
    }

    [Fact]
    public void Read_SaysWhatIsNotThereOrNotAFile()
    {
        Sentence.AssertThrown(() => SafetensorsHeader.Read(_folder.File("none")), _folder.File("none"), "no such file");
        Sentence.AssertThrown(() => SafetensorsHeader.Read(_folder.Path), _folder.Path, "a folder, not a file");
        using var pipe = new AnonymousPipeServerStream(PipeDirection.Out);
        var end = $"/dev/fd/{pipe.GetClientHandleAsString()}";
        Sentence.AssertThrown(() => SafetensorsHeader.Read(end), end, "a pipe or a device");
    }

    [Theory]
    [InlineData("x")]
    [InlineData("\U0001F600")]
    [InlineData("yy\U0001F600")]
    public void Read_ShortensAMonstrousName(string part)
    {
        var path = _folder.File("a.safetensors");
        var name = "line\\nbreak" + string.Concat(Enumerable.Repeat(part, 300_000));
        SafetensorsWriter.WriteRaw(path, "{\"" + name + "\":{}}", dataBytes: 0);

        Sentence.AssertThrown(() => SafetensorsHeader.Read(path), path, "tensor \"line");
    }
}
