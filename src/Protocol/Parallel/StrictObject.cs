using System.Text.Json;
using TensorParallel.Protocol.Checkpoints;

namespace TensorParallel.Protocol.Parallel;

/// <summary>
/// A JSON object of which every key must be read: <see cref="End"/> complains about the rest. Its path,
/// such as <c>plan.ranks[1]</c>, stands in every message.
/// </summary>
internal sealed class StrictObject(JsonElement element, string path)
{
    private readonly HashSet<string> _read = [];

    /// <summary>All keys must have been read by now.</summary>
    public void End()
    {
        foreach (var property in element.EnumerateObject())
        {
            if (!_read.Contains(property.Name))
            {
                throw Wrong(property.Name, "the key is unknown.");
            }
        }
    }

    public string Text(string key) => Text(key, Get(key));

    public IReadOnlyList<string> Texts(string key) => [.. Items(key).Select(item => Text(key, item))];

    public bool Flag(string key) => Get(key) switch
    {
        { ValueKind: JsonValueKind.True } => true,
        { ValueKind: JsonValueKind.False } => false,
        _ => throw Wrong(key, "it is neither true nor false."),
    };

    public int Count(string key, int least, int most) => (int)Whole(key, Get(key), least, most);

    public int? CountOrNull(string key, int least, int most)
    {
        var value = Get(key);
        return value.ValueKind == JsonValueKind.Null ? null : (int)Whole(key, value, least, most);
    }

    public long Bytes(string key, long most = long.MaxValue) => Whole(key, Get(key), 0, most);

    public long? BytesOrNull(string key)
    {
        var value = Get(key);
        return value.ValueKind == JsonValueKind.Null ? null : Whole(key, value, 0, long.MaxValue);
    }

    public IndexRange Range(string key) => Range(key, Get(key));

    public IReadOnlyList<IndexRange> Ranges(string key) => [.. Items(key).Select(item => Range(key, item))];

    public StrictObject Object(string key) => Object(key, Get(key), $"{path}.{key}");

    public StrictObject? ObjectOrNull(string key)
    {
        var value = Get(key);
        return value.ValueKind == JsonValueKind.Null ? null : Object(key, value, $"{path}.{key}");
    }

    public IReadOnlyList<StrictObject> Objects(string key) =>
        [.. Items(key).Select((item, i) => Object(key, item, $"{path}.{key}[{i}]"))];

    public IReadOnlyList<KeyValuePair<string, string>>? TextMapOrNull(string key) => MapOrNull(key, Text);

    public IReadOnlyList<KeyValuePair<string, long?>>? BytesMapOrNull(string key) => MapOrNull(
        key, (name, value) => value.ValueKind == JsonValueKind.Null ? null : (long?)Whole(name, value, 0, long.MaxValue));

    public PlanException Wrong(string key, string sentence) => new($"{path}.{Quote.Of(key)[1..^1]}: {sentence}");

    private JsonElement Get(string key)
    {
        _read.Add(key);
        return element.TryGetProperty(key, out var value) ? value : throw Wrong(key, "the key is missing.");
    }

    private IReadOnlyList<KeyValuePair<string, T>>? MapOrNull<T>(string key, Func<string, JsonElement, T> read)
    {
        var value = Get(key);
        return value.ValueKind switch
        {
            JsonValueKind.Null => null,
            JsonValueKind.Object =>
                [.. value.EnumerateObject().Select(p => KeyValuePair.Create(p.Name, read(key, p.Value)))],
            _ => throw Wrong(key, "it is neither an object nor null."),
        };
    }

    private JsonElement[] Items(string key)
    {
        var value = Get(key);
        return value.ValueKind == JsonValueKind.Array
            ? [.. value.EnumerateArray()]
            : throw Wrong(key, "it is not a list.");
    }

    private string Text(string key, JsonElement value) => value.ValueKind == JsonValueKind.String
        ? value.GetString()!
        : throw Wrong(key, $"{Quote.Of(value.GetRawText())} is not a string.");

    private StrictObject Object(string key, JsonElement value, string itemPath) =>
        value.ValueKind == JsonValueKind.Object
            ? new StrictObject(value, itemPath)
            : throw Wrong(key, $"{Quote.Of(value.GetRawText())} is not an object.");

    private long Whole(string key, JsonElement value, long least, long most) =>
        value.ValueKind == JsonValueKind.Number
        && value.TryGetInt64(out var number) && number >= least && number <= most
            ? number
            : throw Wrong(key, $"{Quote.Of(value.GetRawText())} is not a whole number from {least} to {most}.");

    private IndexRange Range(string key, JsonElement value)
    {
        if (value.ValueKind != JsonValueKind.Array || value.GetArrayLength() != 2)
        {
            throw Wrong(key, $"{Quote.Of(value.GetRawText())} is not a pair [start, end].");
        }

        var start = (int)Whole(key, value[0], 0, int.MaxValue);
        return new IndexRange(start, (int)Whole(key, value[1], start, int.MaxValue));
    }
}
