using TensorParallel.Coordinator.Text.PreTokenizers;

namespace TensorParallel.Coordinator.Text;

/// <summary>
/// Text to token ids and back, as a model folder's tokenizer.json says. Text goes through: added tokens, normalizer,
/// normalized added tokens, pre-tokenizer, model, post-processor. Thread-safe.
/// </summary>
internal sealed class Tokenizer
{
    private readonly TokenizerParts _parts;

    /// <param name="parts">What tokenizer.json describes.</param>
    /// <param name="bosToken">The text of the token that sequences begin with, if one is named.</param>
    public Tokenizer(TokenizerParts parts, string? bosToken)
    {
        _parts = parts;
        VocabularySize = Math.Max(parts.Model.Vocabulary.Size, parts.Added.Size);
        BosTokenId = bosToken is null ? null : parts.Added.IdOf(bosToken) ?? parts.Model.Vocabulary.IdOf(bosToken);
    }

    /// <summary>Largest id + 1. A model's embedding may be larger.</summary>
    public int VocabularySize { get; }

    /// <summary>Null when tokenizer_config.json names no bos_token, or one that the vocabulary does not have.</summary>
    public int? BosTokenId { get; }

    /// <summary>Reads tokenizer.json and, if there, tokenizer_config.json.</summary>
    /// <exception cref="TokenizerException">A file is missing, malformed, or needs what is not supported.</exception>
    public static Tokenizer Load(string modelFolder) =>
        new(TokenizerReader.ReadParts(modelFolder), TokenizerReader.ReadBosToken(modelFolder));

    /// <summary>
    /// The ids of a text. Unpaired surrogates count as U+FFFD. <paramref name="addSpecialTokens"/> adds what the
    /// post-processor puts around a prompt; special tokens written out in the text are recognised either way.
    /// </summary>
    /// <exception cref="TokenizerException">A regular expression of the file takes too long on this text.</exception>
    public IReadOnlyList<int> Encode(string text, bool addSpecialTokens = true)
    {
        var wellFormed = UnicodeClasses.WellFormed(text);
        var ids = new List<int>((wellFormed.Length / 3) + 4);
        foreach (var section in _parts.Added.Raw.Cut(wellFormed))
        {
            if (section.TokenId is { } id)
            {
                ids.Add(id);
            }
            else
            {
                EncodeText(wellFormed[section.Start..section.End], section.Start == 0, ids);
            }
        }

        return _parts.PostProcessor?.Apply(ids, addSpecialTokens) ?? ids;
    }

    /// <summary>
    /// The text of ids; what is no valid UTF-8 becomes U+FFFD, unknown ids add nothing. With
    /// <paramref name="skipSpecialTokens"/> special tokens are left out.
    /// </summary>
    public string Decode(IReadOnlyList<int> ids, bool skipSpecialTokens = true)
    {
        var stream = CreateDetokenizer(skipSpecialTokens);
        for (var i = 0; i < ids.Count; i++)
        {
            stream.Push(ids[i]);
        }

        return stream.Flush();
    }

    /// <summary>A stream that decodes ids as they come.</summary>
    public IncrementalDetokenizer CreateDetokenizer(bool skipSpecialTokens = true) =>
        new(id => skipSpecialTokens && IsSpecial(id) ? null : TokenOf(id), _parts.Decoder);

    /// <summary>Whether the id is an added token marked as special.</summary>
    public bool IsSpecial(int id) => _parts.Added.IsSpecial(id);

    private string? TokenOf(int id) => _parts.Added.TextOf(id) ?? _parts.Model.Vocabulary.TokenOf(id);

    private void EncodeText(string raw, bool beginsInput, List<int> ids)
    {
        var text = _parts.Normalizer?.Normalize(raw) ?? raw;
        foreach (var section in _parts.Added.Normalized.Cut(text))
        {
            if (section.TokenId is { } id)
            {
                ids.Add(id);
                continue;
            }

            var split = new SplitText(text[section.Start..section.End], beginsInput && section.Start == 0);
            _parts.PreTokenizer?.Apply(split);
            foreach (var piece in split.Pieces)
            {
                _parts.Model.Encode(split.Of(piece), ids);
            }
        }
    }
}
