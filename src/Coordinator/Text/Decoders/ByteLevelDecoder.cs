using System.Text;

namespace TensorParallel.Coordinator.Text.Decoders;

/// <summary>
/// Reads tokens of the <see cref="ByteAlphabet"/> as bytes, and all bytes together as UTF-8. A token with any other
/// character (an added one) counts as its own UTF-8 bytes. What is no UTF-8 becomes U+FFFD.
/// </summary>
internal sealed class ByteLevelDecoder : IDecoder
{
    public ITokenSink Start(ITokenSink next) => new Stream(next);

    private sealed class Stream(ITokenSink next) : ITokenSink
    {
        // Keeps the up to three bytes of an incomplete character between calls.
        private readonly Decoder _utf8 = Encoding.UTF8.GetDecoder();
        private readonly StringBuilder _token = new();

        public void Write(ReadOnlySpan<char> text) => _token.Append(text);

        public void EndToken()
        {
            var bytes = Bytes(_token.ToString());
            _token.Clear();
            Emit(bytes, last: false);
        }

        public void Finish()
        {
            Emit([], last: true);
            next.EndToken();
            next.Finish();
        }

        private void Emit(ReadOnlySpan<byte> bytes, bool last)
        {
            var text = new char[Encoding.UTF8.GetMaxCharCount(bytes.Length + 3)];
            var count = _utf8.GetChars(bytes, text, last);
            if (count > 0)
            {
                next.Write(text.AsSpan(0, count));
            }
        }

        private static byte[] Bytes(string token)
        {
            var bytes = new byte[token.Length];
            for (var i = 0; i < token.Length; i++)
            {
                if (ByteAlphabet.ByteOf(token[i]) is >= 0 and var value)
                {
                    bytes[i] = (byte)value;
                }
                else
                {
                    return Encoding.UTF8.GetBytes(token);
                }
            }

            return bytes;
        }
    }
}
