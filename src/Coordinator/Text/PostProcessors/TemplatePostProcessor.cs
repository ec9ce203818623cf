namespace TensorParallel.Coordinator.Text.PostProcessors;

/// <summary>
/// Puts fixed tokens around the text: the template [&lt;s&gt;, A] turns 5, 6 into 1, 5, 6. Only the template for a
/// single text is read; the one for pairs serves other kinds of model.
/// </summary>
internal sealed class TemplatePostProcessor : IPostProcessor
{
    // Null stands for the text.
    private readonly int[]?[] _pieces;

    private TemplatePostProcessor(int[]?[] pieces) => _pieces = pieces;

    public static TemplatePostProcessor Read(TokenizerJson json, int vocabularySize)
    {
        var single = json.Required("single");
        var pieces = single.Items().Select(piece => ReadPiece(piece, json, vocabularySize)).ToArray();
        return pieces.Contains(null)
            ? new TemplatePostProcessor(pieces)
            : throw single.Wrong("has no piece for the text: {\"Sequence\": {\"id\": \"A\"}}");
    }

    public List<int> Apply(List<int> ids, bool addSpecialTokens)
    {
        var result = new List<int>(ids.Count + _pieces.Length);
        foreach (var piece in _pieces)
        {
            if (piece is null)
            {
                result.AddRange(ids);
            }
            else if (addSpecialTokens)
            {
                result.AddRange(piece);
            }
        }

        return result;
    }

    private static int[]? ReadPiece(TokenizerJson piece, TokenizerJson json, int vocabularySize)
    {
        if (piece.Optional("Sequence") is { } text)
        {
            var id = text.Required("id");
            return id.AsString() == "A" ? null : throw id.Wrong("must be A: a single text has no other part");
        }

        if (piece.Optional("SpecialToken") is not { } token)
        {
            throw piece.Wrong("must have the key SpecialToken or Sequence");
        }

        // Named by the template, defined beside it: one name may stand for several tokens.
        var definition = json.Required("special_tokens").Required(token.Required("id").AsString());
        return [.. definition.Required("ids").Items().Select(id => id.AsIndex(vocabularySize))];
    }
}
