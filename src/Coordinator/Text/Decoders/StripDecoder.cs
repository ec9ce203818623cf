using System.Text;

namespace TensorParallel.Coordinator.Text.Decoders;

/// <summary>
/// Removes up to <paramref name="start"/> times a character from the front of each token and up to
/// <paramref name="stop"/> times from its back. Llama 2 drops the one space that encoding put in front.
/// </summary>
internal sealed class StripDecoder(string content, int start, int stop) : IDecoder
{
    // More than any text has, and no danger: nothing is allocated by these numbers.
    private const int CountLimit = 1 << 30;

    public static StripDecoder Read(TokenizerJson json) => new(
        json.Required("content").AsCharacter(),
        json.Required("start").AsIndex(CountLimit),
        json.Required("stop").AsIndex(CountLimit));

    public ITokenSink Start(ITokenSink next) => new Stream(content, start, stop, next);

    private sealed class Stream(string content, int start, int stop, ITokenSink next) : ITokenSink
    {
        private readonly Rune _content = Rune.GetRuneAt(content, 0);
        private int _stripped;
        private bool _pastFront;

        // Occurrences at the end so far; they are written when something else follows.
        private int _pending;

        public void Write(ReadOnlySpan<char> text)
        {
            Span<char> units = stackalloc char[2];
            foreach (var rune in text.EnumerateRunes())
            {
                if (rune == _content && !_pastFront && _stripped < start)
                {
                    _stripped++;
                    continue;
                }

                _pastFront = true;
                if (rune == _content && stop > 0)
                {
                    _pending++;
                    continue;
                }

                WritePending(_pending);
                next.Write(units[..rune.EncodeToUtf16(units)]);
            }
        }

        public void EndToken()
        {
            WritePending(Math.Max(0, _pending - stop));
            (_stripped, _pastFront, _pending) = (0, false, 0);
            next.EndToken();
        }

        public void Finish() => next.Finish();

        private void WritePending(int count)
        {
            for (; count > 0; count--)
            {
                next.Write(content);
            }

            _pending = 0;
        }
    }
}
