namespace TensorParallel.Coordinator.Text.Decoders;

/// <summary>Makes one token of all tokens.</summary>
internal sealed class FuseDecoder : IDecoder
{
    public ITokenSink Start(ITokenSink next) => new Stream(next);

    private sealed class Stream(ITokenSink next) : ITokenSink
    {
        public void Write(ReadOnlySpan<char> text) => next.Write(text);

        public void EndToken()
        {
            // The one token goes on.
        }

        public void Finish()
        {
            next.EndToken();
            next.Finish();
        }
    }
}
