using TensorParallel.Protocol.Generation;

namespace TensorParallel.Coordinator.Engine;

/// <summary>Times of one generation, from submission on. Belongs to the request's reader.</summary>
/// <param name="promptTokens">Tokens of the prompt.</param>
/// <param name="time">The engine's clock.</param>
internal sealed class GenerationClock(int promptTokens, TimeProvider time)
{
    private readonly long _submitted = time.GetTimestamp();
    private long _first;
    private long _last;
    private int _tokens;

    /// <summary>A token whose step was complete at <paramref name="timestamp"/>.</summary>
    public void Count(long timestamp)
    {
        _first = _tokens == 0 ? timestamp : _first;
        _last = timestamp;
        _tokens++;
    }

    /// <summary>Example: 5 tokens, the first after 0.2 s, the last after 0.6 s: 4 / 0.4 s = 10 tokens/s.</summary>
    public GenerateTimings Read()
    {
        var decoding = time.GetElapsedTime(_first, _last).TotalSeconds;
        var rate = _tokens > 1 && decoding > 0 ? (_tokens - 1) / decoding : 0;
        return new GenerateTimings(promptTokens, _tokens, time.GetElapsedTime(_submitted, _first), rate);
    }
}
