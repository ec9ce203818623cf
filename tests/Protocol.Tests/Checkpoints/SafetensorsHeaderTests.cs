using TensorParallel.Protocol.Checkpoints;
using TensorParallel.TestKit;
using Xunit;

namespace TensorParallel.Protocol.Tests.Checkpoints;

public sealed class SafetensorsHeaderTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Read_GivesWhatWasWritten()
    {
        var path = _folder.File("a.safetensors");
        byte[] first = [1, 2, 3, 4, 5, 6];
        byte[] second = [7, 8, 9, 10];
        SafetensorsWriter.Write(
            path,
            [
                new("b", DType.BF16, [3, 1], first),
                new("scalar", DType.F32, [], second),
                new("empty", DType.I64, [2, 0], []),
            ],
            new Dictionary<string, string> { ["format"] = "pt" });

        var header = SafetensorsHeader.Read(path);

        Assert.Equal("pt", header.Metadata["format"]);
        Assert.Equal(["b", "empty", "scalar"], header.Tensors.Keys.Order());
        Assert.Equal(["b", "scalar", "empty"], header.InFileOrder.Select(t => t.Name));
        AssertTensor(header.Tensors["b"], DType.BF16, [3, 1], first);
        AssertTensor(header.Tensors["scalar"], DType.F32, [], second);
        AssertTensor(header.Tensors["empty"], DType.I64, [2, 0], []);
        Assert.Equal(1, header.Tensors["scalar"].ElementCount);

        void AssertTensor(TensorInfo tensor, DType dtype, long[] shape, byte[] bytes)
        {
            Assert.Equal(path, tensor.File);
            Assert.Equal(dtype, tensor.DType);
            Assert.Equal(shape, tensor.Shape);
            Assert.Equal(bytes, File.ReadAllBytes(path).Skip((int)tensor.Offset).Take((int)tensor.Bytes));
        }
    }

    [Theory]
    [InlineData("{}", 0)]
    [InlineData("""{"a":{"dtype":"F4","shape":[3,2],"data_offsets":[0,3]}}""", 3)]
    [InlineData("""{"a":{"dtype":"F6_E2M3","shape":[4],"data_offsets":[0,3]}}""", 3)]
    [InlineData(
        """{"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]},""" +
        """ "a":{"dtype":"I8","shape":[1],"data_offsets":[0,1]}}""",
        3)]
    [InlineData(
        """{"b":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},""" +
        """ "a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}""",
        3)]
    [InlineData("""{"":{"data_offsets":[0,2],"shape":[2],"dtype":"F8_E8M0"},"__metadata__":{}}""", 2)]
    public void Read_AcceptsWhatTheFormatAllows(string json, long dataBytes)
    {
        var path = _folder.File("a.safetensors");
        SafetensorsWriter.WriteRaw(path, json, dataBytes);

        Assert.Equal(dataBytes, SafetensorsHeader.Read(path).Tensors.Values.Sum(t => t.Bytes));
    }

    [Fact]
    public void Read_KnowsEveryDType()
    {
        var path = _folder.File("a.safetensors");
        var entries = Enum.GetValues<DType>()
            .Select(dtype => new SafetensorsEntry($"{dtype}", dtype, [8], new byte[dtype.SizeInBits()]))
            .ToArray();
        SafetensorsWriter.Write(path, entries);

        var header = SafetensorsHeader.Read(path);

        Assert.All(entries, entry => Assert.Equal(entry.DType, header.Tensors[entry.Name].DType));
    }

    [Fact]
    public void Read_IsQuickOnManyTensors()
    {
        var path = _folder.File("a.safetensors");
        var entries = Enumerable.Range(0, 50_000).Select(i => new SafetensorsEntry($"t.{i}", DType.U8, [1], [(byte)i]));
        SafetensorsWriter.Write(path, [.. entries]);

        Assert.Equal(50_000, SafetensorsHeader.Read(path).Tensors.Count);
    }
}
