using TensorParallel.Protocol.Generation;

namespace TensorParallel.Protocol.Wire;

public static partial class WireMapping
{
    /// <summary>A rank's answer as a message.</summary>
    /// <param name="result">The answer.</param>
    /// <param name="peakResidentBytes">Most memory the worker process has had resident; not part of the record.</param>
    public static Workers.StepResult ToWire(StepResult result, long peakResidentBytes)
    {
        var message = new Workers.StepResult
        {
            Step = result.Step,
            ComputeMicroseconds = result.ComputeMicroseconds,
            PeakResidentBytes = peakResidentBytes,
        };
        foreach (var token in result.Tokens)
        {
            message.Tokens.Add(ToWire(token));
        }

        return message;
    }

    /// <summary>A rank's answer as a record.</summary>
    public static StepResult ToRecord(Workers.StepResult message)
    {
        var where = $"result of step {message.Step}";
        Require(message.Step >= 0, where, "step", message.Step, "not negative");
        Require(message.ComputeMicroseconds >= 0, where, "compute_microseconds", message.ComputeMicroseconds,
            "not negative");
        Require(message.PeakResidentBytes >= 0, where, "peak_resident_bytes", message.PeakResidentBytes,
            "not negative");
        var tokens = new SampledToken[message.Tokens.Count];
        for (var i = 0; i < tokens.Length; i++)
        {
            tokens[i] = ToRecord(message.Tokens[i], $"{where}, token {i}");
        }

        return new StepResult(message.Step, tokens, message.ComputeMicroseconds);
    }

    private static Workers.SampledToken ToWire(SampledToken token)
    {
        var message = new Workers.SampledToken { Slot = token.Slot, TokenId = token.TokenId };
        if (token.LogProb is { } logProb)
        {
            message.Logprob = logProb;
        }

        foreach (var top in token.TopLogProbs)
        {
            message.TopLogprobs.Add(new Workers.TopLogProb { TokenId = top.TokenId, Logprob = top.LogProb });
        }

        return message;
    }

    private static SampledToken ToRecord(Workers.SampledToken message, string where)
    {
        Require(message.Slot >= 0, where, "slot", message.Slot, "not negative");
        Require(message.TokenId >= 0, where, "token_id", message.TokenId, "not negative");
        Require(!message.HasLogprob || !float.IsNaN(message.Logprob), where, "logprob", message.Logprob, "a number");
        Require(message.TopLogprobs.Count <= MaxLogProbs, where, "top_logprobs", message.TopLogprobs.Count,
            $"at most {MaxLogProbs}");
        var top = new TokenLogProb[message.TopLogprobs.Count];
        for (var i = 0; i < top.Length; i++)
        {
            var entry = message.TopLogprobs[i];
            Require(entry.TokenId >= 0, where, "top_logprobs.token_id", entry.TokenId, "not negative");
            Require(!float.IsNaN(entry.Logprob), where, "top_logprobs.logprob", entry.Logprob, "a number");
            top[i] = new TokenLogProb(entry.TokenId, entry.Logprob);
        }

        return new SampledToken(message.Slot, message.TokenId, message.HasLogprob ? message.Logprob : null, top);
    }
}
