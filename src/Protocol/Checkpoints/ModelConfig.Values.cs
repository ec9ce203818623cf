using System.Globalization;
using System.Text.Json;

namespace TensorParallel.Protocol.Checkpoints;

/// <content>
/// Typed access by key. <c>X(key)</c> fails when the key is absent, <c>XOr(key, d)</c> and <c>XOrNull(key)</c> do not;
/// all of them fail when it is there with the wrong kind of value.
/// </content>
public sealed partial class ModelConfig
{
    /// <summary>Whether the key is there and not null.</summary>
    public bool Has(string key) => Find(key) is not null;

    /// <exception cref="CheckpointException">Absent, or not a whole number of 32 bits.</exception>
    public int Int(string key) => IntOrNull(key) ?? throw Missing(key);

    /// <inheritdoc cref="Int"/>
    public int IntOr(string key, int defaultValue) => IntOrNull(key) ?? defaultValue;

    /// <inheritdoc cref="Int"/>
    public int? IntOrNull(string key)
    {
        if (Find(key) is not { } value)
        {
            return null;
        }

        return value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var number)
            ? number
            : throw Wrong(key, value, "a whole number of at most 32 bits");
    }

    /// <summary>A size or a count: 1 .. 2^31 - 1.</summary>
    /// <exception cref="CheckpointException">Absent, or not in that range.</exception>
    public int PositiveInt(string key) => Positive(key, Int(key));

    /// <inheritdoc cref="PositiveInt"/>
    public int PositiveIntOr(string key, int defaultValue) =>
        IntOrNull(key) is { } number ? Positive(key, number) : defaultValue;

    /// <exception cref="CheckpointException">Absent, or not a finite number.</exception>
    public double Double(string key) => DoubleOrNull(key) ?? throw Missing(key);

    /// <inheritdoc cref="Double"/>
    public double DoubleOr(string key, double defaultValue) => DoubleOrNull(key) ?? defaultValue;

    /// <inheritdoc cref="Double"/>
    public double? DoubleOrNull(string key)
    {
        if (Find(key) is not { } value)
        {
            return null;
        }

        // 1e999 is valid JSON and parses to infinity.
        return value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var number) && double.IsFinite(number)
            ? number
            : throw Wrong(key, value, "a finite number");
    }

    /// <summary>An epsilon, a base or a factor: finite and above zero.</summary>
    /// <exception cref="CheckpointException">Absent, or not in that range.</exception>
    public double PositiveDouble(string key) => Positive(key, Double(key));

    /// <inheritdoc cref="PositiveDouble"/>
    public double PositiveDoubleOr(string key, double defaultValue) =>
        DoubleOrNull(key) is { } number ? Positive(key, number) : defaultValue;

    /// <exception cref="CheckpointException">There, but not a boolean.</exception>
    public bool BoolOr(string key, bool defaultValue) => BoolOrNull(key) ?? defaultValue;

    /// <inheritdoc cref="BoolOr"/>
    public bool? BoolOrNull(string key) => Find(key) switch
    {
        null => null,
        { ValueKind: JsonValueKind.True } => true,
        { ValueKind: JsonValueKind.False } => false,
        { } value => throw Wrong(key, value, "true or false"),
    };

    /// <exception cref="CheckpointException">Absent, or not a string.</exception>
    public string String(string key) => StringOrNull(key) ?? throw Missing(key);

    /// <inheritdoc cref="String"/>
    public string StringOr(string key, string defaultValue) => StringOrNull(key) ?? defaultValue;

    /// <inheritdoc cref="String"/>
    public string? StringOrNull(string key) => Find(key) switch
    {
        null => null,
        { ValueKind: JsonValueKind.String } value => value.GetString(),
        { } value => throw Wrong(key, value, "a string"),
    };

    /// <summary>A list of strings, such as <c>layer_types</c>; empty when absent.</summary>
    /// <exception cref="CheckpointException">There, but not a list of strings.</exception>
    public IReadOnlyList<string> Strings(string key)
    {
        if (Find(key) is not { } value)
        {
            return [];
        }

        return value.ValueKind == JsonValueKind.Array
            ? [.. value.EnumerateArray().Select(item => item.ValueKind == JsonValueKind.String
                ? item.GetString()!
                : throw Wrong(key, item, "a string"))]
            : throw Wrong(key, value, "a list of strings");
    }

    private JsonElement? Find(string key) =>
        _object.TryGetProperty(key, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;

    private int Positive(string key, int number) => number > 0
        ? number
        : throw new CheckpointException($"{Path}: \"{_prefix}{key}\" is {number}, but it must be at least 1.");

    private double Positive(string key, double number) => number > 0
        ? number
        : throw new CheckpointException(string.Create(
            CultureInfo.InvariantCulture, $"{Path}: \"{_prefix}{key}\" is {number}, but it must be above 0."));

    private CheckpointException Missing(string key) => new($"{Path}: \"{_prefix}{key}\" is missing.");

    private CheckpointException Wrong(string key, JsonElement value, string expected) =>
        new($"{Path}: \"{_prefix}{key}\" holds {Quote.Of(value.GetRawText())}, which is not {expected}.");
}
