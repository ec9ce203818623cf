using TensorParallel.Coordinator.Text.Normalizers;

namespace TensorParallel.Coordinator.Text.Added;

/// <summary>The added tokens of a tokenizer. Immutable, thread-safe.</summary>
internal sealed class AddedVocabulary
{
    private readonly Dictionary<string, int> _ids;
    private readonly Dictionary<int, string> _texts;
    private readonly HashSet<int> _special;

    /// <param name="tokens">With distinct contents and ids.</param>
    /// <param name="normalizer">The tokenizer's; null: text stays as it is.</param>
    public AddedVocabulary(IReadOnlyCollection<AddedToken> tokens, INormalizer? normalizer)
    {
        string TextOf(AddedToken token) =>
            token.Normalized && normalizer is not null ? normalizer.Normalize(token.Content) : token.Content;

        // The reference library decodes a normalized token to its normalized text, and looks whether that text is the
        // content of a special token: so a special token that normalization changes is never skipped.
        var special = tokens.Where(token => token.Special).Select(token => token.Content).ToHashSet();
        _special = [.. tokens.Where(token => special.Contains(TextOf(token))).Select(token => token.Id)];
        _ids = tokens.ToDictionary(token => token.Content, token => token.Id, StringComparer.Ordinal);
        _texts = tokens.ToDictionary(token => token.Id, TextOf);
        Size = tokens.Select(token => token.Id + 1).DefaultIfEmpty().Max();

        var ordered = tokens.OrderBy(token => token.Id).Select(token => (TextOf(token), token)).ToList();
        Raw = new AddedTokenTrie(ordered.Where(pair => !pair.token.Normalized));
        Normalized = new AddedTokenTrie(ordered.Where(pair => pair.token.Normalized));
    }

    /// <summary>Finds tokens in the text as given.</summary>
    public AddedTokenTrie Raw { get; }

    /// <summary>Finds tokens in normalized text.</summary>
    public AddedTokenTrie Normalized { get; }

    /// <summary>Largest id + 1.</summary>
    public int Size { get; }

    public int? IdOf(string content) => _ids.TryGetValue(content, out var id) ? id : null;

    /// <summary>What the id decodes to: the content, normalized where the token is.</summary>
    public string? TextOf(int id) => _texts.GetValueOrDefault(id);

    /// <summary>Whether decoding may skip the id.</summary>
    public bool IsSpecial(int id) => _special.Contains(id);

    /// <summary>
    /// Reads "added_tokens". A token that the model's vocabulary has keeps its id there. Others are numbered in file
    /// order behind it, whatever id the file declares: so does the library that these files are written for (it only
    /// warns), hence so were the ids that the model was trained with. For a sound file both are the same.
    /// </summary>
    public static AddedVocabulary Read(TokenizerJson? json, Vocabulary vocabulary, INormalizer? normalizer)
    {
        var tokens = new Dictionary<string, AddedToken>(StringComparer.Ordinal);
        var largest = -1;
        foreach (var item in json?.Items() ?? [])
        {
            var content = item.Required("content").AsString();
            _ = item.Optional("id")?.AsIndex(Vocabulary.IdLimit);
            if (content.Length == 0)
            {
                continue;
            }

            var id = vocabulary.IdOf(content) ?? tokens.GetValueOrDefault(content)?.Id
                ?? Math.Max(vocabulary.Count, largest + 1);
            if (vocabulary.TokenOf(id) is { } owner && owner != content)
            {
                throw item.Wrong($"('{content}') comes to stand at id {id}, which is that of '{owner}' in model.vocab");
            }

            largest = Math.Max(largest, id);
            tokens[content] = ReadToken(item, id, content);
        }

        return new AddedVocabulary(tokens.Values, normalizer);
    }

    private static AddedToken ReadToken(TokenizerJson item, int id, string content) => new(
        id,
        content,
        item.Flag("single_word", absent: false),
        item.Flag("lstrip", absent: false),
        item.Flag("rstrip", absent: false),
        item.Flag("normalized", absent: true),
        item.Flag("special", absent: false));
}
