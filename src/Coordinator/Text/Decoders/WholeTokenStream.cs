using System.Text;

namespace TensorParallel.Coordinator.Text.Decoders;

/// <summary>Base of decoders that must see a token entirely: collects its pieces.</summary>
internal abstract class WholeTokenStream(ITokenSink next) : ITokenSink
{
    private readonly StringBuilder _token = new();

    protected ITokenSink Next { get; } = next;

    public void Write(ReadOnlySpan<char> text) => _token.Append(text);

    public void EndToken()
    {
        var token = _token.ToString();
        _token.Clear();
        Take(token);
    }

    public virtual void Finish() => Next.Finish();

    /// <summary>Called once for each token.</summary>
    protected abstract void Take(string token);

    protected void Emit(string token)
    {
        Next.Write(token);
        Next.EndToken();
    }
}
