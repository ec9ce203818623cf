using System.Buffers.Binary;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using TensorParallel.Protocol.Checkpoints;

namespace TensorParallel.TestKit;

/// <summary>Writes safetensors files: sound ones, and ones with any header a test wants.</summary>
public static class SafetensorsWriter
{
    private static readonly JsonWriterOptions s_json = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>
    /// Writes a valid file, the tensors in the order given, one after the other: no more than one entry's own buffers
    /// are in memory at a time.
    /// </summary>
    /// <exception cref="InvalidOperationException">An entry wrote more or fewer bytes than its shape has.</exception>
    public static void Write(
        string path,
        IReadOnlyList<SafetensorsEntry> entries,
        IReadOnlyDictionary<string, string>? metadata = null)
    {
        using var file = new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.None, bufferSize: 1 << 16);
        WriteHeader(file, Header(entries, metadata));
        foreach (var entry in entries)
        {
            var begin = file.Position;
            entry.WriteData(file);
            if (file.Position - begin != entry.Bytes)
            {
                throw new InvalidOperationException(
                    $"{entry.Name} wrote {file.Position - begin} bytes but its shape has {entry.Bytes}.");
            }
        }

        file.SetLength(file.Position); // an entry may skip what is to be a hole
    }

    /// <summary>Writes any text as the header, padded to 8 bytes, then <paramref name="dataBytes"/> zeros.</summary>
    public static void WriteRaw(string path, string header, long dataBytes)
    {
        using var file = new FileStream(path, FileMode.Create, FileAccess.Write);
        WriteHeader(file, Encoding.UTF8.GetBytes(header));
        file.SetLength(file.Position + dataBytes);
    }

    private static byte[] Header(
        IReadOnlyList<SafetensorsEntry> entries, IReadOnlyDictionary<string, string>? metadata)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer, s_json))
        {
            json.WriteStartObject();
            if (metadata is not null)
            {
                json.WritePropertyName("__metadata__");
                JsonSerializer.Serialize(json, metadata);
            }

            var offset = 0L;
            foreach (var entry in entries)
            {
                WriteEntry(json, entry, offset);
                offset += entry.Bytes;
            }

            json.WriteEndObject();
        }

        return buffer.ToArray();
    }

    private static void WriteEntry(Utf8JsonWriter json, SafetensorsEntry entry, long offset)
    {
        json.WriteStartObject(entry.Name);
        json.WriteString("dtype", entry.DType.SafetensorsName());
        json.WritePropertyName("shape");
        JsonSerializer.Serialize(json, entry.Shape);
        json.WritePropertyName("data_offsets");
        JsonSerializer.Serialize(json, (long[])[offset, offset + entry.Bytes]);
        json.WriteEndObject();
    }

    private static void WriteHeader(FileStream file, byte[] json)
    {
        var padded = (json.Length + 7) / 8 * 8;
        Span<byte> length = stackalloc byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(length, padded);
        file.Write(length);
        file.Write(json);
        for (var i = json.Length; i < padded; i++)
        {
            file.WriteByte((byte)' ');
        }
    }
}
