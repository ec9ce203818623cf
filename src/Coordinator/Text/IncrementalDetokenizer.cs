using TensorParallel.Coordinator.Text.Decoders;

namespace TensorParallel.Coordinator.Text;

/// <summary>
/// Turns a stream of ids into text as it becomes certain: never half a character, and all results together equal
/// <see cref="Tokenizer.Decode"/> of all ids. "é" in two byte-level tokens gives "" and then "é". One stream, one
/// thread at a time; made by <see cref="Tokenizer.CreateDetokenizer"/>.
/// </summary>
internal sealed class IncrementalDetokenizer
{
    private readonly Func<int, string?> _tokenOf;
    private readonly TextSink _text = new();
    private readonly ITokenSink _chain;
    private bool _finished;

    /// <param name="tokenOf">The vocabulary's spelling of an id; null: the id adds nothing.</param>
    /// <param name="decoder">What makes text of that spelling.</param>
    internal IncrementalDetokenizer(Func<int, string?> tokenOf, IDecoder decoder)
    {
        _tokenOf = tokenOf;
        _chain = decoder.Start(_text);
    }

    /// <summary>The text that has become certain by this id, often empty. Unknown ids add nothing.</summary>
    public string Append(int id)
    {
        Push(id);
        return _text.Take();
    }

    /// <summary>The rest, held back so far (an incomplete character becomes U+FFFD). Ends the stream.</summary>
    public string Flush()
    {
        if (!_finished)
        {
            _finished = true;
            _chain.Finish();
        }

        return _text.Take();
    }

    /// <summary>Append without taking the text.</summary>
    internal void Push(int id)
    {
        if (_finished)
        {
            throw new InvalidOperationException("The stream of tokens has ended: Flush was called.");
        }

        if (_tokenOf(id) is { } token)
        {
            _chain.Write(token);
            _chain.EndToken();
        }
    }
}
