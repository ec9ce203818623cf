namespace TensorParallel.Protocol.Generation;

/// <summary>One event of a running generation: tokens in order, then exactly one <see cref="Finished"/>.</summary>
public abstract record GenerateEvent
{
    private GenerateEvent()
    {
    }

    /// <summary>A generated token.</summary>
    /// <param name="Sampled">Id and log-probabilities.</param>
    /// <param name="Text">Newly certain text, never half a character; empty without a tokenizer.</param>
    public sealed record Token(SampledToken Sampled, string Text) : GenerateEvent;

    /// <summary>The end.</summary>
    /// <param name="Reason">Why.</param>
    /// <param name="Text">Text held back until now.</param>
    /// <param name="Timings">What it took.</param>
    public sealed record Finished(FinishReason Reason, string Text, GenerateTimings Timings) : GenerateEvent;
}
