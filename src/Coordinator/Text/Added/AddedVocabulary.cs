using TensorParallel.Coordinator.Text.Normalizers;

namespace TensorParallel.Coordinator.Text.Added;

/// <summary>The added tokens of a tokenizer. Immutable, thread-safe.</summary>
internal sealed class AddedVocabulary
{
    private readonly Dictionary<int, AddedToken> _byId;
    private readonly Dictionary<string, int> _ids;

    public AddedVocabulary(IReadOnlyList<AddedToken> tokens, INormalizer? normalizer)
    {
        _byId = [];
        _ids = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var token in tokens)
        {
            _byId[token.Id] = token;
            _ids[token.Content] = token.Id;
        }

        var current = _byId.Values.OrderBy(token => token.Id).ToList();
        Raw = new AddedTokenTrie(current.Where(t => !t.Normalized).Select(t => (t.Content, t)));
        Normalized = new AddedTokenTrie(current.Where(t => t.Normalized)
            .Select(t => (normalizer?.Normalize(t.Content) ?? t.Content, t)));
    }

    /// <summary>Finds tokens in the text as given.</summary>
    public AddedTokenTrie Raw { get; }

    /// <summary>Finds tokens in normalized text.</summary>
    public AddedTokenTrie Normalized { get; }

    /// <summary>Largest id + 1.</summary>
    public int Size => _byId.Count == 0 ? 0 : _byId.Keys.Max() + 1;

    public int? IdOf(string content) => _ids.TryGetValue(content, out var id) ? id : null;

    public string? TokenOf(int id) => _byId.TryGetValue(id, out var token) ? token.Content : null;

    public bool IsSpecial(int id) => _byId.TryGetValue(id, out var token) && token.Special;

    /// <summary>
    /// Reads "added_tokens". Where the model's vocabulary has the text, its id counts. Otherwise the declared one must
    /// be free.
    /// </summary>
    public static AddedVocabulary Read(TokenizerJson? json, Vocabulary vocabulary, INormalizer? normalizer)
    {
        var tokens = new List<AddedToken>();
        var taken = new Dictionary<int, string>();
        foreach (var item in json?.Items() ?? [])
        {
            var content = item.Required("content").AsString();
            if (content.Length == 0)
            {
                continue;
            }

            var id = vocabulary.IdOf(content) ?? item.Required("id").AsIndex(Vocabulary.IdLimit);
            var owner = vocabulary.TokenOf(id) ?? taken.GetValueOrDefault(id);
            if (owner is not null && owner != content)
            {
                throw item.Wrong($"gives '{content}' the id {id}, which is that of '{owner}'");
            }

            taken[id] = content;
            tokens.Add(new AddedToken(
                id,
                content,
                item.Flag("single_word", absent: false),
                item.Flag("lstrip", absent: false),
                item.Flag("rstrip", absent: false),
                item.Flag("normalized", absent: true),
                item.Flag("special", absent: false)));
        }

        return new AddedVocabulary(tokens, normalizer);
    }
}
