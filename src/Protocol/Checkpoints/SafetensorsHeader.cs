using System.Buffers.Binary;
using System.Collections.Frozen;
using System.Text.Json;

namespace TensorParallel.Protocol.Checkpoints;

/// <summary>
/// The header of one safetensors file, completely validated: when <see cref="Read"/> returns, the tensors cover the
/// data part exactly once and every byte range may be read blindly. Immutable.
/// </summary>
/// <remarks>
/// Layout: 8 bytes little-endian header length H, H bytes of JSON (padded with spaces), data. A tensor with
/// data_offsets [b, e] lies at file bytes 8 + H + b .. 8 + H + e.
/// </remarks>
public sealed class SafetensorsHeader
{
    /// <summary>The format's own bound on the JSON part.</summary>
    public const int MaxHeaderBytes = 100_000_000;

    private const int LengthBytes = sizeof(ulong);
    private const string MetadataKey = "__metadata__";

    private SafetensorsHeader(
        string path, long dataStart, List<TensorInfo> tensors, IReadOnlyDictionary<string, string> metadata)
    {
        Path = path;
        DataStart = dataStart;
        InFileOrder = tensors;
        Tensors = tensors.ToFrozenDictionary(t => t.Name);
        Metadata = metadata;
    }

    /// <summary>Full path of the file.</summary>
    public string Path { get; }

    /// <summary>First byte of the data part: the length of prefix and JSON.</summary>
    public long DataStart { get; }

    /// <summary>By name.</summary>
    public IReadOnlyDictionary<string, TensorInfo> Tensors { get; }

    /// <summary>The same tensors by ascending offset.</summary>
    public IReadOnlyList<TensorInfo> InFileOrder { get; }

    /// <summary>The free-form <c>__metadata__</c>; empty when there is none.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>
    /// Reads and checks the header; the data part is not touched. Allocates a small multiple of the header.
    /// </summary>
    /// <exception cref="CheckpointException">Whatever is wrong, with the file and any tensor.</exception>
    public static SafetensorsHeader Read(string path)
    {
        var fullPath = System.IO.Path.GetFullPath(path);
        try
        {
            using var file = File.OpenHandle(fullPath);
            var fileBytes = RandomAccess.GetLength(file);
            var json = new byte[HeaderLength(file, fileBytes, fullPath)];
            JsonFile.ReadExactly(file, json, LengthBytes, fullPath);
            return Parse(json, fileBytes, fullPath);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            throw JsonFile.Unreadable(fullPath, e);
        }
    }

    private static long HeaderLength(
        Microsoft.Win32.SafeHandles.SafeFileHandle file, long fileBytes, string path)
    {
        if (fileBytes < LengthBytes)
        {
            throw new CheckpointException(
                $"{path}: {fileBytes} bytes are too few for a safetensors file: it was cut short; fetch it again.");
        }

        Span<byte> prefix = stackalloc byte[LengthBytes];
        JsonFile.ReadExactly(file, prefix, 0, path);
        var length = BinaryPrimitives.ReadUInt64LittleEndian(prefix);
        if (length > MaxHeaderBytes)
        {
            throw new CheckpointException(
                $"{path}: a header of {length} bytes is longer than the {MaxHeaderBytes} that safetensors allows: " +
                "this is not a safetensors file.");
        }

        return (long)length <= fileBytes - LengthBytes
            ? (long)length
            : throw new CheckpointException(
                $"{path}: the header should have {length} bytes but the file has only {fileBytes}: it was cut short; " +
                "fetch it again.");
    }

    private static SafetensorsHeader Parse(byte[] json, long fileBytes, string path)
    {
        if (json.Length == 0 || json[0] != (byte)'{')
        {
            throw new CheckpointException($"{path}: the header does not begin with \"{{\": not a safetensors file.");
        }

        var dataStart = LengthBytes + json.Length;
        var entries = new TensorEntryReader(path, dataStart, fileBytes);
        var tensors = new List<TensorInfo>();
        var metadata = FrozenDictionary<string, string>.Empty;
        foreach (var property in JsonFile.ParseObject(json, path).EnumerateObject())
        {
            if (property.Name == MetadataKey)
            {
                metadata = ReadMetadata(property.Value, path);
            }
            else
            {
                tensors.Add(entries.Read(property.Name, property.Value));
            }
        }

        tensors.Sort((a, b) => (a.Offset, a.Bytes).CompareTo((b.Offset, b.Bytes)));
        CheckCoverage(tensors, dataStart, fileBytes, path);
        return new SafetensorsHeader(path, dataStart, tensors, metadata);
    }

    private static FrozenDictionary<string, string> ReadMetadata(JsonElement value, string path)
    {
        if (value.ValueKind != JsonValueKind.Object)
        {
            throw new CheckpointException($"{path}: \"{MetadataKey}\" is not an object.");
        }

        return value.EnumerateObject().ToFrozenDictionary(p => p.Name, p => p.Value.ValueKind == JsonValueKind.String
            ? p.Value.GetString()!
            : throw new CheckpointException(
                $"{path}: \"{MetadataKey}\": the value of {Quote.Of(p.Name)} is not a string."));
    }

    // Sorted ranges must follow each other without a seam. An empty tensor may stand at any seam.
    private static void CheckCoverage(List<TensorInfo> tensors, long dataStart, long fileBytes, string path)
    {
        var end = dataStart;
        TensorInfo? previous = null;
        foreach (var tensor in tensors)
        {
            if (tensor.Offset < end)
            {
                throw new CheckpointException(
                    $"{path}: tensor {Quote.Of(tensor.Name)} begins {end - tensor.Offset} bytes before the " +
                    $"end of tensor {Quote.Of(previous!.Name)}: the two overlap.");
            }

            if (tensor.Offset > end)
            {
                throw new CheckpointException(
                    $"{path}: {tensor.Offset - end} bytes before tensor {Quote.Of(tensor.Name)} belong to no tensor.");
            }

            end = tensor.Offset + tensor.Bytes;
            previous = tensor;
        }

        if (end != fileBytes)
        {
            var last = previous is null ? "the header" : $"tensor {Quote.Of(previous.Name)}";
            throw new CheckpointException($"{path}: {fileBytes - end} bytes after {last} belong to no tensor.");
        }
    }
}
