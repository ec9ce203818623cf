using System.Buffers.Binary;
using System.Text.Encodings.Web;
using System.Text.Json;
using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Quantization;

namespace TensorParallel.Worker.Loading.Shards;

/// <summary>
/// Where a rank's parts lie in its file: in load order, one after the other, behind a header that fills whole pages. Immutable.
/// </summary>
internal sealed class ShardLayout
{
    private const int LengthBytes = sizeof(ulong);

    // The data then begins with a page, as reads past the page cache need it.
    private const int HeaderAlignment = 4096;

    private static readonly JsonWriterOptions s_json = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private ShardLayout(byte[] header, IReadOnlyList<ShardPart> parts)
    {
        (Header, Parts) = (header, parts);
        Bytes = header.Length + parts.Sum(part => part.Bytes);
    }

    /// <summary>Everything before the data.</summary>
    public byte[] Header { get; }

    /// <summary>The parts, in order.</summary>
    public IReadOnlyList<ShardPart> Parts { get; }

    /// <summary>Size of the file.</summary>
    public long Bytes { get; }

    /// <summary>The layout of one rank's file.</summary>
    /// <exception cref="PlanException">The plan has a tensor that the model has not.</exception>
    public static ShardLayout Of(ModelSpec spec, ExecutionPlan plan, RankPlan rank)
    {
        var shapes = ModelSpecTensors.Of(spec).ToDictionary(tensor => tensor.Name, tensor => tensor.Shape);
        var parts = new List<ShardPart>();
        var offset = 0L;
        foreach (var slice in rank.Tensors)
        {
            var shape = shapes.TryGetValue(slice.Name, out var found)
                ? found
                : throw new PlanException($"The plan has a tensor \"{slice.Name}\", which the model has not: make the plan anew.");
            var part = new ShardPart(slice, shape, LocalShape.Of(slice, shape), plan.DType, offset);
            parts.Add(part);
            offset += part.Bytes;
        }

        var header = HeaderOf(parts);
        return new ShardLayout(header, [.. parts.Select(part => part with { Offset = part.Offset + header.Length })]);
    }

    /// <summary>What a loader fills the file by.</summary>
    public IReadOnlyList<WeightTarget> Targets(DeviceBuffer file) =>
    [
        .. Parts.Select(part => new WeightTarget(
            part.Slice, part.FullShape, new Tensor(file, part.Offset, part.DType, part.Rows, part.Columns, part.Columns))),
    ];

    private static byte[] HeaderOf(List<ShardPart> parts)
    {
        using var buffer = new MemoryStream();
        buffer.Write(new byte[LengthBytes]);
        using (var json = new Utf8JsonWriter(buffer, s_json))
        {
            json.WriteStartObject();
            foreach (var part in parts)
            {
                json.WriteStartObject(part.Slice.Name);
                json.WriteString("dtype", part.DType.SafetensorsName());
                json.WriteStartArray("shape");
                foreach (var size in part.Shape)
                {
                    json.WriteNumberValue(size);
                }

                json.WriteEndArray();
                json.WriteStartArray("data_offsets");
                json.WriteNumberValue(part.Offset);
                json.WriteNumberValue(part.Offset + part.Bytes);
                json.WriteEndArray();
                json.WriteEndObject();
            }

            json.WriteEndObject();
        }

        while (buffer.Length % HeaderAlignment != 0)
        {
            buffer.WriteByte((byte)' ');
        }

        var header = buffer.ToArray();
        BinaryPrimitives.WriteInt64LittleEndian(header, header.Length - LengthBytes);
        return header;
    }
}
