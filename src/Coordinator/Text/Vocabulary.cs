namespace TensorParallel.Coordinator.Text;

/// <summary>Token text to id and back, for the model's own tokens. Ids may have gaps. Immutable.</summary>
internal sealed class Vocabulary
{
    /// <summary>Ids at or above this are refused: they would only serve to make the id table huge.</summary>
    public const int IdLimit = 1 << 22;

    private readonly Dictionary<string, int> _ids;
    private readonly string?[] _tokens;

    public Vocabulary(TokenizerJson json)
    {
        _ids = new Dictionary<string, int>(StringComparer.Ordinal);
        var largest = -1;
        foreach (var (token, value) in json.Members())
        {
            var id = value.AsIndex(IdLimit);
            _ids[token] = id;
            largest = Math.Max(largest, id);
        }

        _tokens = new string?[largest + 1];
        foreach (var (token, id) in _ids)
        {
            if (_tokens[id] is { } other)
            {
                throw json.Wrong($"gives the id {id} to both '{other}' and '{token}'");
            }

            _tokens[id] = token;
        }
    }

    /// <summary>Number of tokens; less than the largest id + 1 when there are gaps.</summary>
    public int Count => _ids.Count;

    /// <summary>Largest id + 1.</summary>
    public int Size => _tokens.Length;

    public IEnumerable<string> Tokens => _ids.Keys;

    public Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> BySpan() =>
        _ids.GetAlternateLookup<ReadOnlySpan<char>>();

    public int? IdOf(string token) => _ids.TryGetValue(token, out var id) ? id : null;

    public string? TokenOf(int id) => (uint)id < (uint)_tokens.Length ? _tokens[id] : null;
}
