using TensorParallel.Coordinator.Text.Patterns;

namespace TensorParallel.Coordinator.Text.Decoders;

/// <summary>Replaces every match of a pattern within each token by a fixed text.</summary>
internal sealed class ReplaceDecoder(ITextPattern pattern, string content) : IDecoder
{
    public static ReplaceDecoder Read(TokenizerJson json) =>
        new(TextPatternReader.Read(json.Required("pattern")), json.Required("content").AsString());

    public ITokenSink Start(ITokenSink next) => new Stream(pattern, content, next);

    private sealed class Stream(ITextPattern pattern, string content, ITokenSink next) : WholeTokenStream(next)
    {
        protected override void Take(string token) => Emit(pattern.Replace(token, content));
    }
}
