namespace TensorParallel.Coordinator.Text.Decoders;

/// <summary>Several decoders, each working on the tokens of the one before.</summary>
internal sealed class SequenceDecoder(IDecoder[] parts) : IDecoder
{
    public static SequenceDecoder Read(TokenizerJson json) =>
        new([.. json.Required("decoders").Items().Select(DecoderCatalog.Read)]);

    public ITokenSink Start(ITokenSink next) => parts.Reverse().Aggregate(next, (sink, part) => part.Start(sink));
}
