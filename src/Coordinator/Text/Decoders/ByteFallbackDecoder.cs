using System.Globalization;
using System.Text;

namespace TensorParallel.Coordinator.Text.Decoders;

/// <summary>
/// Reads runs of tokens like &lt;0xE2&gt; as UTF-8. A run that is not entirely valid becomes one U+FFFD per byte, also
/// for its valid characters: so nothing of a run is certain before it ends, and all of it is held back until then.
/// </summary>
internal sealed class ByteFallbackDecoder : IDecoder
{
    public ITokenSink Start(ITokenSink next) => new Stream(next);

    private sealed class Stream(ITokenSink next) : WholeTokenStream(next)
    {
        private readonly List<byte> _run = [];

        public override void Finish()
        {
            EndRun();
            Next.Finish();
        }

        protected override void Take(string token)
        {
            if (token is ['<', '0', 'x', _, _, '>']
                && byte.TryParse(token.AsSpan(3, 2), NumberStyles.AllowHexSpecifier, null, out var value))
            {
                _run.Add(value);
                return;
            }

            EndRun();
            Emit(token);
        }

        private void EndRun()
        {
            if (_run.Count == 0)
            {
                return;
            }

            var bytes = _run.ToArray();
            _run.Clear();
            if (System.Text.Unicode.Utf8.IsValid(bytes))
            {
                Emit(Encoding.UTF8.GetString(bytes));
                return;
            }

            foreach (var _ in bytes)
            {
                Emit("\ufffd");
            }
        }
    }
}
