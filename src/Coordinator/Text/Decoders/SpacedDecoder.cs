namespace TensorParallel.Coordinator.Text.Decoders;

/// <summary>Of a tokenizer without a decoder: the tokens as they are, with a space between them.</summary>
internal sealed class SpacedDecoder : IDecoder
{
    public ITokenSink Start(ITokenSink next) => new Stream(next);

    private sealed class Stream(ITokenSink next) : ITokenSink
    {
        private bool _inToken;
        private bool _separate;

        public void Write(ReadOnlySpan<char> text)
        {
            Begin();
            next.Write(text);
        }

        public void EndToken()
        {
            Begin();
            _inToken = false;
            next.EndToken();
        }

        public void Finish() => next.Finish();

        private void Begin()
        {
            if (!_inToken && _separate)
            {
                next.Write(" ");
            }

            _inToken = _separate = true;
        }
    }
}
