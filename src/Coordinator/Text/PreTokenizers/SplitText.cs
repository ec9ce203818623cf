using System.Text;
using TensorParallel.Coordinator.Text.Patterns;

namespace TensorParallel.Coordinator.Text.PreTokenizers;

/// <summary>
/// A text on its way through the pre-tokenizers: one string and the pieces it is cut into, in order. Pieces need not
/// cover it: removed parts belong to none. Owned by one call of Encode.
/// </summary>
internal sealed class SplitText
{
    private readonly List<TextSpan> _spans = [];
    private List<TextPiece> _pieces = [];
    private List<TextPiece> _spare = [];

    /// <param name="text">The whole text: one piece unless it is empty.</param>
    /// <param name="beginsInput">Whether the user's input begins with it.</param>
    public SplitText(string text, bool beginsInput)
    {
        Text = text;
        AddPiece(_pieces, new TextPiece(0, text.Length, beginsInput));
    }

    public string Text { get; private set; }

    /// <summary>Never holds an empty piece. Replaced by each cut: do not keep it.</summary>
    public IReadOnlyList<TextPiece> Pieces => _pieces;

    public ReadOnlySpan<char> Of(TextPiece piece) => Text.AsSpan(piece.Start, piece.Length);

    /// <summary>Cuts every piece at the matches of the pattern.</summary>
    public void Cut(ITextPattern pattern, SplitBehavior behavior, bool invert = false)
    {
        _spare.Clear();
        foreach (var piece in _pieces)
        {
            _spans.Clear();
            pattern.Cut(Of(piece), _spans);
            behavior.Regroup(_spans, invert);
            foreach (var span in _spans)
            {
                var begins = piece.BeginsInput && span.Start == 0;
                AddPiece(_spare, new TextPiece(piece.Start + span.Start, piece.Start + span.End, begins));
            }
        }

        (_pieces, _spare) = (_spare, _pieces);
    }

    /// <summary>Rewrites every piece: <paramref name="write"/> appends its new text.</summary>
    public void Rewrite(Action<TextPiece, StringBuilder> write)
    {
        var result = new StringBuilder(Text.Length + (Text.Length / 8) + 16);
        _spare.Clear();
        foreach (var piece in _pieces)
        {
            var start = result.Length;
            write(piece, result);
            AddPiece(_spare, new TextPiece(start, result.Length, piece.BeginsInput));
        }

        Text = result.ToString();
        (_pieces, _spare) = (_spare, _pieces);
    }

    private static void AddPiece(List<TextPiece> pieces, TextPiece piece)
    {
        if (piece.Length > 0)
        {
            pieces.Add(piece);
        }
    }
}
