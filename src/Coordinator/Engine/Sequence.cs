using System.Threading.Channels;
using TensorParallel.Protocol.Generation;

namespace TensorParallel.Coordinator.Engine;

/// <summary>
/// One request on its way through the engine. Everything but <see cref="Output"/> belongs to the engine loop; the
/// request's own reader sees only that channel, which ends after the token with a finish reason or faults.
/// </summary>
/// <param name="request">What to generate.</param>
/// <param name="ended">Called once, on the loop, when nothing is computed for it any more; must return quickly and not throw.</param>
internal sealed class Sequence(GenerateRequest request, Action? ended = null)
{
    // Never more entries than MaxNewTokens, so a slow reader cannot stall the loop nor fill the memory.
    private readonly Channel<GeneratedToken> _output = Channel.CreateUnbounded<GeneratedToken>(
        new UnboundedChannelOptions { SingleReader = true, SingleWriter = true });

    /// <summary>What to generate.</summary>
    public GenerateRequest Request { get; } = request;

    /// <summary>The tokens, for the request's reader.</summary>
    public ChannelReader<GeneratedToken> Output => _output.Reader;

    /// <summary>Worker-side slot; −1 without one.</summary>
    public int Slot { get; set; } = -1;

    /// <summary>Block table: block i holds positions i·KvBlockTokens and on.</summary>
    public List<int> Blocks { get; } = [];

    /// <summary>Positions that steps were sent for; the next row stands at this position.</summary>
    public int SentPositions { get; set; }

    /// <summary>Tokens that steps were sent for, at most <see cref="GenerateRequest.MaxNewTokens"/>.</summary>
    public int SentSamples { get; set; }

    /// <summary>Tokens received.</summary>
    public int GeneratedTokens { get; private set; }

    /// <summary>Steps sent and not complete that refer to the slot and the blocks.</summary>
    public int StepsInFlight { get; set; }

    /// <summary>Number of the step that was sent for it last.</summary>
    public long LastStep { get; set; }

    /// <summary>
    /// Finished, failed, stopped or abandoned: nothing is computed any more and tokens still on their way are dropped.
    /// </summary>
    public bool Ended { get; private set; }

    /// <summary>Rows of the prompt are still to be sent.</summary>
    public bool IsPrefilling => !Ended && SentPositions < Request.PromptIds.Count;

    /// <summary>The next row is a "continue".</summary>
    public bool IsDecoding => !Ended && SentPositions >= Request.PromptIds.Count && SentSamples < Request.MaxNewTokens;

    /// <summary>Hands a token to the reader and decides whether it is the last one. Not called once ended.</summary>
    public void Append(SampledToken sampled, long timestamp)
    {
        var sampling = Request.Sampling;
        var mayStop = GeneratedTokens >= sampling.MinNewTokens;
        GeneratedTokens++;
        FinishReason? finish = mayStop && sampling.EosTokenIds.Contains(sampled.TokenId) ? FinishReason.Stop
            : GeneratedTokens == Request.MaxNewTokens ? FinishReason.Length
            : null;
        _output.Writer.TryWrite(new GeneratedToken(sampled, timestamp, finish));
        if (finish is not null)
        {
            End(null);
        }
    }

    /// <summary>
    /// Ends the sequence; its reader gets <paramref name="error"/> after the tokens it has not read yet.
    /// </summary>
    public void End(Exception? error)
    {
        if (!Ended)
        {
            Ended = true;
            ended?.Invoke();
        }

        _output.Writer.TryComplete(error);
    }
}
