namespace TensorParallel.Coordinator.Text.Decoders;

/// <summary>One step from the vocabulary's spelling of tokens back to text. Immutable, thread-safe.</summary>
internal interface IDecoder
{
    /// <summary>Begins a stream whose result goes to <paramref name="next"/>.</summary>
    ITokenSink Start(ITokenSink next);
}
