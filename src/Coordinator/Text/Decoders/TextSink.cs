using System.Text;

namespace TensorParallel.Coordinator.Text.Decoders;

/// <summary>The end of the chain: collects text until it is taken.</summary>
internal sealed class TextSink : ITokenSink
{
    private readonly StringBuilder _text = new();

    public void Write(ReadOnlySpan<char> text) => _text.Append(text);

    public void EndToken()
    {
        // Text has no token boundaries.
    }

    public void Finish()
    {
        // Nothing is held back here.
    }

    /// <summary>What came since the last call.</summary>
    public string Take()
    {
        var text = _text.ToString();
        _text.Clear();
        return text;
    }
}
