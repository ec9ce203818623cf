using TensorParallel.Protocol.Generation;

namespace TensorParallel.Protocol.Wire;

public static partial class WireMapping
{
    private const int MaxLogProbs = 20;

    private static Workers.Sampling ToWire(SamplingParameters sampling)
    {
        var message = new Workers.Sampling
        {
            Temperature = sampling.Temperature,
            TopK = sampling.TopK,
            TopP = sampling.TopP,
            MinP = sampling.MinP,
            RepetitionPenalty = sampling.RepetitionPenalty,
            PresencePenalty = sampling.PresencePenalty,
            FrequencyPenalty = sampling.FrequencyPenalty,
            Seed = sampling.Seed,
            Logprobs = sampling.LogProbs,
            MinNewTokens = sampling.MinNewTokens,
        };
        message.EosTokenIds.AddRange(sampling.EosTokenIds);
        return message;
    }

    private static SamplingParameters ToRecord(Workers.Sampling message, string where)
    {
        Require(float.IsFinite(message.Temperature) && message.Temperature >= 0, where, "temperature",
            message.Temperature, "finite and not negative");
        Require(message.TopK >= 0, where, "top_k", message.TopK, "not negative");
        Require(message.TopP is > 0 and <= 1, where, "top_p", message.TopP, "in (0, 1]");
        Require(message.MinP is >= 0 and < 1, where, "min_p", message.MinP, "in [0, 1)");
        Require(float.IsFinite(message.RepetitionPenalty) && message.RepetitionPenalty > 0, where, "repetition_penalty",
            message.RepetitionPenalty, "finite and above 0");
        Require(float.IsFinite(message.PresencePenalty), where, "presence_penalty", message.PresencePenalty, "finite");
        Require(float.IsFinite(message.FrequencyPenalty), where, "frequency_penalty", message.FrequencyPenalty,
            "finite");
        Require(message.Logprobs is >= 0 and <= MaxLogProbs, where, "logprobs", message.Logprobs,
            $"in 0 … {MaxLogProbs}");
        Require(message.MinNewTokens >= 0, where, "min_new_tokens", message.MinNewTokens, "not negative");
        foreach (var token in message.EosTokenIds)
        {
            Require(token >= 0, where, "eos_token_ids", token, "not negative");
        }

        return new SamplingParameters
        {
            Temperature = message.Temperature,
            TopK = message.TopK,
            TopP = message.TopP,
            MinP = message.MinP,
            RepetitionPenalty = message.RepetitionPenalty,
            PresencePenalty = message.PresencePenalty,
            FrequencyPenalty = message.FrequencyPenalty,
            Seed = message.Seed,
            LogProbs = message.Logprobs,
            MinNewTokens = message.MinNewTokens,
            EosTokenIds = message.EosTokenIds.ToArray(),
        };
    }
}
