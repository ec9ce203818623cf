using System.Text.Json;

namespace TensorParallel.Coordinator.Text;

/// <summary>
/// One value of a tokenizer file together with where it stands, so that every complaint names file and key:
/// "/m/tokenizer.json: pre_tokenizer.pretokenizers[1].behavior must be a string, but is a number."
/// The file is untrusted: each accessor checks the type and throws <see cref="TokenizerException"/>.
/// </summary>
/// <param name="file">The file's path.</param>
/// <param name="path">Where in the file, empty for the whole of it.</param>
/// <param name="element">The value.</param>
/// <param name="index">A further step into an array at that path; -1: none.</param>
/// <param name="member">A further step into an object at that path; null: none.</param>
internal readonly struct TokenizerJson(
    string file, string path, JsonElement element, int index = -1, string? member = null)
{
    // Put together only when needed: a vocabulary's file has hundreds of thousands of items.
    private string Where => member is not null ? $"{path}['{member}']" : index < 0 ? path : $"{path}[{index}]";

    public JsonValueKind ValueKind => element.ValueKind;

    /// <summary>The component's name, from the key "type".</summary>
    public string Kind => Required("type").AsString();

    public TokenizerException Wrong(string what) =>
        new($"{file}: {(Where.Length == 0 ? "the file" : Where)} {what}.");

    /// <summary>A component whose kind this tokenizer does not have.</summary>
    public TokenizerException Unsupported(string kind, IEnumerable<string> known) =>
        Wrong($"has the type '{kind}', which is not supported (supported: {string.Join(", ", known)})");

    public TokenizerJson Required(string key) =>
        Optional(key) ?? throw new TokenizerException($"{file}: {Join(key)} is missing.");

    /// <summary>Null when the key is absent or its value is JSON null: files write both for "not set".</summary>
    public TokenizerJson? Optional(string key)
    {
        if (element.ValueKind != JsonValueKind.Object)
        {
            throw Expected("an object");
        }

        return element.TryGetProperty(key, out var value) && value.ValueKind != JsonValueKind.Null
            ? new TokenizerJson(file, Join(key), value)
            : null;
    }

    public string AsString()
    {
        if (element.ValueKind != JsonValueKind.String)
        {
            throw Expected("a string");
        }

        try
        {
            return element.GetString()!;
        }
        catch (InvalidOperationException e)
        {
            // A lone surrogate escape is valid JSON syntax, but no text.
            throw NotUnicode(e);
        }
    }

    public bool AsFlag() => element.ValueKind switch
    {
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        _ => throw Expected("true or false"),
    };

    /// <summary>A number in [0, limit).</summary>
    public int AsIndex(int limit) =>
        element.ValueKind == JsonValueKind.Number && element.TryGetInt32(out var value) && value >= 0 && value < limit
            ? value
            : throw Wrong($"must be a whole number in 0..{limit - 1}, but is {Shown()}");

    /// <summary>Exactly one Unicode scalar, as a string (two UTF-16 units beyond U+FFFF).</summary>
    public string AsCharacter()
    {
        var text = AsString();
        return text.EnumerateRunes().Take(2).Count() == 1
            ? text
            : throw Wrong($"must be one character, but is {Shown()}");
    }

    public string? OptionalString(string key) => Optional(key)?.AsString();

    public bool Flag(string key, bool absent) => Optional(key)?.AsFlag() ?? absent;

    public IEnumerable<TokenizerJson> Items()
    {
        if (element.ValueKind != JsonValueKind.Array)
        {
            throw Expected("an array");
        }

        var (at, where) = (file, Where);
        return element.EnumerateArray().Select((item, i) => new TokenizerJson(at, where, item, i));
    }

    public int Length =>
        element.ValueKind == JsonValueKind.Array ? element.GetArrayLength() : throw Expected("an array");

    /// <summary>The members of an object in file order. A name that occurs twice is given twice.</summary>
    public IEnumerable<(string Name, TokenizerJson Value)> Members()
    {
        if (element.ValueKind != JsonValueKind.Object)
        {
            throw Expected("an object");
        }

        return Walk(file, Where, element);
    }

    private static IEnumerable<(string Name, TokenizerJson Value)> Walk(string file, string path, JsonElement element)
    {
        foreach (var member in element.EnumerateObject())
        {
            string name;
            try
            {
                name = member.Name;
            }
            catch (InvalidOperationException e)
            {
                throw new TokenizerJson(file, path, element).NotUnicode(e);
            }

            yield return (name, new TokenizerJson(file, path, member.Value, member: name));
        }
    }

    private TokenizerException Expected(string what) => Wrong($"must be {what}, but is {Shown()}");

    private TokenizerException NotUnicode(Exception inner) =>
        new($"{file}: {Where} holds text that is not valid Unicode.", inner);

    private string Join(string key) => Where.Length == 0 ? key : $"{Where}.{key}";

    private string Shown()
    {
        var raw = element.GetRawText();
        return raw.Length <= 60 ? raw : $"{raw[..60]}…";
    }
}
