using TensorParallel.Coordinator.Text.PreTokenizers;

namespace TensorParallel.Coordinator.Text.Decoders;

/// <summary>
/// Writes the visible space (▁) as a space again. In the first token it vanishes, unless none is ever put in front.
/// </summary>
internal sealed class MetaspaceDecoder(string replacement, PrependScheme scheme) : IDecoder
{
    public static MetaspaceDecoder Read(TokenizerJson json) =>
        new(json.Required("replacement").AsCharacter(), PrependSchemes.Read(json));

    public ITokenSink Start(ITokenSink next) => new Stream(replacement, scheme, next);

    private sealed class Stream(string replacement, PrependScheme scheme, ITokenSink next) : WholeTokenStream(next)
    {
        private bool _drops = scheme != PrependScheme.Never;

        protected override void Take(string token)
        {
            Emit(token.Replace(replacement, _drops ? string.Empty : " ", StringComparison.Ordinal));
            _drops = false;
        }
    }
}
