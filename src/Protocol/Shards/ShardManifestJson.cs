using System.Buffers;
using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Protocol.Shards;

/// <summary><see cref="ShardManifest"/> as JSON, read strictly: no key missing, none unknown.</summary>
internal static class ShardManifestJson
{
    private const int MostPieceBytes = 1 << 30;

    private static readonly JsonWriterOptions s_options =
        new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, Indented = true, NewLine = "\n" };

    public static byte[] Write(ShardManifest manifest)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer, s_options))
        {
            json.WriteStartObject();
            json.WriteNumber("version", ShardManifest.Version);
            json.WriteNumber("piece_bytes", manifest.PieceBytes);
            json.WriteStartArray("sources");
            foreach (var source in manifest.Sources)
            {
                WriteSource(json, source);
            }

            json.WriteEndArray();
            json.WriteStartArray("ranks");
            foreach (var rank in manifest.Ranks)
            {
                WriteRank(json, rank);
            }

            json.WriteEndArray();
            json.WriteEndObject();
        }

        return buffer.WrittenSpan.ToArray();
    }

    public static ShardManifest Read(JsonElement root, string path)
    {
        try
        {
            var json = new StrictObject(root, "shards");
            json.Count("version", ShardManifest.Version, ShardManifest.Version);
            var manifest = new ShardManifest(
                Path.GetDirectoryName(path)!,
                json.Count("piece_bytes", 1, MostPieceBytes),
                [.. json.Objects("sources").Select(ReadSource)],
                [.. json.Objects("ranks").Select(ReadRank)]);
            json.End();
            return manifest;
        }
        catch (PlanException e)
        {
            throw new CheckpointException($"{path}: {e.Message.TrimEnd('.')}: make the shards anew with 'coordinator shard --force'.", e);
        }
    }

    private static void WriteSource(Utf8JsonWriter json, SourceFile source)
    {
        json.WriteStartObject();
        json.WriteString("name", source.Name);
        json.WriteNumber("bytes", source.Bytes);
        json.WriteString("modified", source.Modified.ToString("O", CultureInfo.InvariantCulture));
        json.WriteString("header_hash", ContentHash.Text(source.Header));
        json.WriteString("content_hash", ContentHash.Text(source.Content));
        json.WriteEndObject();
    }

    private static SourceFile ReadSource(StrictObject json)
    {
        var source = new SourceFile(
            FileName(json, "name"), json.Bytes("bytes"), Time(json, "modified"), Hash(json, "header_hash"), Hash(json, "content_hash"));
        json.End();
        return source;
    }

    private static void WriteRank(Utf8JsonWriter json, RankShard rank)
    {
        json.WriteStartObject();
        json.WriteString("file", rank.File);
        json.WriteNumber("bytes", rank.Bytes);
        json.WriteString("header_hash", ContentHash.Text(rank.Header));
        json.WriteStartArray("tensors");
        foreach (var tensor in rank.Tensors)
        {
            json.WriteStartObject();
            json.WriteString("name", tensor.Name);
            json.WriteString("dtype", tensor.DType.SafetensorsName());
            WriteCut(json, tensor);
            json.WriteStartArray("hashes");
            foreach (var hash in tensor.Hashes)
            {
                json.WriteStringValue(ContentHash.Text(hash));
            }

            json.WriteEndArray();
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WriteCut(Utf8JsonWriter json, ShardTensor tensor)
    {
        json.WritePropertyName("dim");
        if (tensor.Dim is { } dim)
        {
            json.WriteNumberValue(dim);
        }
        else
        {
            json.WriteNullValue();
        }

        json.WriteStartArray("ranges");
        foreach (var range in tensor.Ranges)
        {
            json.WriteStartArray();
            json.WriteNumberValue(range.Start);
            json.WriteNumberValue(range.End);
            json.WriteEndArray();
        }

        json.WriteEndArray();
    }

    private static RankShard ReadRank(StrictObject json)
    {
        var rank = new RankShard(
            FileName(json, "file"), json.Bytes("bytes"), Hash(json, "header_hash"), [.. json.Objects("tensors").Select(ReadTensor)]);
        json.End();
        return rank;
    }

    private static ShardTensor ReadTensor(StrictObject json)
    {
        var tensor = new ShardTensor(
            json.Text("name"),
            DTypes.TryParse(json.Text("dtype"), out var dtype) ? dtype : throw json.Wrong("dtype", "it is no safetensors dtype."),
            json.CountOrNull("dim", 0, 1),
            json.Ranges("ranges"),
            [.. json.Texts("hashes").Select(text => Hash(json, "hashes", text))]);
        json.End();
        return tensor;
    }

    private static UInt128 Hash(StrictObject json, string key) => Hash(json, key, json.Text(key));

    private static UInt128 Hash(StrictObject json, string key, string text) => ContentHash.TryParse(text, out var hash)
        ? hash
        : throw json.Wrong(key, $"{Quote.Of(text)} is not a hash of 32 hexadecimal digits.");

    // What lies elsewhere is nothing that a manifest may point at.
    private static string FileName(StrictObject json, string key)
    {
        var name = json.Text(key);
        return name.Length > 0 && name is not ("." or "..") && Path.GetFileName(name) == name && !name.Contains('\0')
            ? name
            : throw json.Wrong(key, $"{Quote.Of(name)} is not a plain file name.");
    }

    private static DateTime Time(StrictObject json, string key) => DateTime.TryParseExact(
        json.Text(key), "O", CultureInfo.InvariantCulture, DateTimeStyles.RoundtripKind, out var time) && time.Kind == DateTimeKind.Utc
            ? time
            : throw json.Wrong(key, "it is not a time in UTC.");
}
