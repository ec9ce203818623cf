using System.Globalization;
using System.Text.Json;
using System.Text.Unicode;

namespace TensorParallel.Protocol.Checkpoints;

/// <summary>
/// Strict JSON: one object, no duplicate names, no comments, no trailing commas, no bytes that are not UTF-8, no
/// escaped half of a surrogate pair. After <see cref="ParseObject"/> every string of the tree can be read without a
/// surprise.
/// </summary>
public static class JsonFile
{
    /// <summary>The same bound that safetensors sets for its header; no configuration file comes near it.</summary>
    public const int MaxBytes = 100_000_000;

    private static readonly JsonDocumentOptions s_options = new() { AllowDuplicateProperties = false };

    /// <summary>Reads a whole file. The tree owns its memory: there is nothing to dispose.</summary>
    /// <exception cref="CheckpointException">Not there, not readable, too long or not strict JSON.</exception>
    public static JsonElement ReadObject(string path)
    {
        byte[] json;
        try
        {
            using var file = File.OpenHandle(path);
            var length = RandomAccess.GetLength(file);
            if (length > MaxBytes)
            {
                throw new CheckpointException($"{path}: {length} bytes are more than the {MaxBytes} allowed.");
            }

            json = new byte[length];
            ReadExactly(file, json, 0, path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            throw Unreadable(path, e);
        }

        return ParseObject(json, path);
    }

    /// <summary>Parses text that lies in memory; <paramref name="path"/> is for the messages.</summary>
    /// <exception cref="CheckpointException">Not strict JSON, or not an object.</exception>
    public static JsonElement ParseObject(ReadOnlyMemory<byte> json, string path)
    {
        if (!Utf8.IsValid(json.Span))
        {
            throw new CheckpointException($"{path}: the JSON text is not valid UTF-8.");
        }

        try
        {
            CheckEscapes(json.Span);
            using var document = JsonDocument.Parse(json, s_options);
            return document.RootElement.ValueKind == JsonValueKind.Object
                ? document.RootElement.Clone()
                : throw new CheckpointException(
                    $"{path}: the JSON text is {document.RootElement.ValueKind}, not an object.");
        }
        catch (JsonException e)
        {
            throw new CheckpointException($"{path}: not valid JSON{Place(e)}: {OneLine(e.Message)}.", e);
        }
    }

    /// <summary>Fills <paramref name="buffer"/> from <paramref name="offset"/>.</summary>
    /// <exception cref="CheckpointException">The file ends earlier: somebody is shortening it.</exception>
    public static void ReadExactly(
        Microsoft.Win32.SafeHandles.SafeFileHandle file, Span<byte> buffer, long offset, string path)
    {
        while (!buffer.IsEmpty)
        {
            var read = RandomAccess.Read(file, buffer, offset);
            if (read == 0)
            {
                throw new CheckpointException($"{path}: the file ended at byte {offset} while it was being read.");
            }

            buffer = buffer[read..];
            offset += read;
        }
    }

    /// <summary>The sentence for a file that the operating system does not give us.</summary>
    public static CheckpointException Unreadable(string path, Exception cause) => cause switch
    {
        FileNotFoundException or DirectoryNotFoundException => new($"{path}: no such file.", cause),
        UnauthorizedAccessException when Directory.Exists(path) => new($"{path}: a folder, not a file.", cause),
        UnauthorizedAccessException => new($"{path}: no permission to read the file.", cause),
        NotSupportedException => new($"{path}: a pipe or a device, not a file.", cause),
        _ => new($"{path}: cannot be read: {OneLine(cause.Message)}.", cause),
    };

    // The reader unescapes lazily and then fails with InvalidOperationException on "\ud800" alone, so look at once.
    private static void CheckEscapes(ReadOnlySpan<byte> json)
    {
        var reader = new Utf8JsonReader(json);
        while (reader.Read())
        {
            if (reader.TokenType is not (JsonTokenType.String or JsonTokenType.PropertyName) || !reader.ValueIsEscaped)
            {
                continue;
            }

            try
            {
                _ = reader.GetString();
            }
            catch (InvalidOperationException e)
            {
                throw new JsonException($"The string at byte {reader.TokenStartIndex} holds half a surrogate pair", e);
            }
        }
    }

    private static string Place(JsonException e) => e is { LineNumber: { } line, BytePositionInLine: { } position }
        ? string.Create(CultureInfo.InvariantCulture, $" at line {line + 1}, byte {position + 1}")
        : "";

    // The runtime's messages are sentences with the place in a form of their own at the end: ours is one sentence.
    private static string OneLine(string message)
    {
        var place = message.IndexOf(" LineNumber:", StringComparison.Ordinal);
        var text = (place < 0 ? message : message[..place]).TrimEnd('.').Replace(". ", "; ", StringComparison.Ordinal);
        return Quote.Of(text)[1..^1];
    }
}
