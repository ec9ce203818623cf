namespace TensorParallel.Protocol.Generation;

/// <summary>Why a generation ended.</summary>
public enum FinishReason
{
    /// <summary>An end-of-sequence id or a stop string; JSON <c>stop</c>.</summary>
    Stop,

    /// <summary>The maximum of new tokens, or the end of the context; JSON <c>length</c>.</summary>
    Length,
}
