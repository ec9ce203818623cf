using TensorParallel.Coordinator.Engine;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Generation;
using TensorParallel.Protocol.Parallel;
using Wire = TensorParallel.Protocol.Wire.Inference;

namespace TensorParallel.Coordinator.Api.Grpc;

/// <summary>The public messages and the records they stand for.</summary>
internal static class InferenceMapping
{
    /// <summary>The prompt; throws <see cref="RequestException"/> when there is none.</summary>
    public static PromptInput ToPrompt(Wire.GenerateRequest request) => request.InputCase switch
    {
        Wire.GenerateRequest.InputOneofCase.Prompt => PromptInput.OfText(request.Prompt),
        Wire.GenerateRequest.InputOneofCase.PromptIds => PromptInput.OfIds(request.PromptIds.Ids),
        _ => throw new RequestException(["The request has no input: give prompt or prompt_ids."]),
    };

    /// <summary>The options, unchecked.</summary>
    public static GenerateOptions ToOptions(Wire.GenerateRequest request) => new()
    {
        MaxNewTokens = request.HasMaxNewTokens ? request.MaxNewTokens : null,
        MinNewTokens = request.MinNewTokens,
        Temperature = request.HasTemperature ? request.Temperature : null,
        TopK = request.TopK,
        TopP = request.HasTopP ? request.TopP : null,
        MinP = request.MinP,
        RepetitionPenalty = request.HasRepetitionPenalty ? request.RepetitionPenalty : null,
        PresencePenalty = request.PresencePenalty,
        FrequencyPenalty = request.FrequencyPenalty,
        Seed = request.HasSeed ? request.Seed : null,
        Stop = request.Stop,
        EosTokenIds = request.EosTokenIds,
        IgnoreEos = request.IgnoreEos,
        LogProbs = request.Logprobs,
    };

    /// <summary>The first message of a generation.</summary>
    public static Wire.GenerateResponse ToStarted(GenerateRequest request) => new()
    {
        Started = new Wire.Started { PromptIds = { request.PromptIds }, Seed = request.Sampling.Seed },
    };

    /// <summary>A later message of a generation.</summary>
    public static Wire.GenerateResponse ToMessage(GenerateEvent generated) => generated switch
    {
        GenerateEvent.Token token => new Wire.GenerateResponse { Token = ToMessage(token) },
        GenerateEvent.Finished finished => new Wire.GenerateResponse { Finished = ToMessage(finished) },
        _ => throw new ArgumentException($"{generated.GetType()} has no message.", nameof(generated)),
    };

    /// <summary>What clients may know about the model.</summary>
    public static Wire.GetModelInfoResponse ToMessage(ServedModel model)
    {
        var (name, spec, plan, eosTokenIds) = model.Info;
        return new Wire.GetModelInfoResponse
        {
            Name = name,
            ModelType = spec.ModelType,
            Dtype = plan.DType.HuggingFaceName(),
            VocabularySize = spec.VocabularySize,
            MaxContextTokens = plan.Limits.MaxContextTokens,
            NumHiddenLayers = spec.Blocks.Count,
            Mode = PlanModeNames.NameOf(plan.Mode),
            WorldSize = plan.WorldSize,
            FallbackReasons = { plan.FallbackReasons },
            PlanJson = PlanJson.Serialize(plan),
            HasTokenizer = model.Tokenizer is not null,
            EosTokenIds = { eosTokenIds },
        };
    }

    /// <summary>Counters.</summary>
    public static Wire.GetStatsResponse ToMessage(EngineStatistics statistics) => new()
    {
        State = statistics.State.ToString().ToLowerInvariant(),
        Running = statistics.Running,
        Waiting = statistics.Waiting,
        Steps = statistics.Steps,
        PromptTokens = statistics.PromptTokens,
        GeneratedTokens = statistics.GeneratedTokens,
        Restarts = statistics.Restarts,
    };

    private static Wire.Token ToMessage(GenerateEvent.Token token)
    {
        var message = new Wire.Token { Id = token.Sampled.TokenId, Text = token.Text };
        if (token.Sampled.LogProb is { } logProb)
        {
            message.Logprob = logProb;
        }

        message.TopLogprobs.Add(token.Sampled.TopLogProbs.Select(
            top => new Wire.TokenLogProb { Id = top.TokenId, Logprob = top.LogProb }));
        return message;
    }

    private static Wire.Finished ToMessage(GenerateEvent.Finished finished) => new()
    {
        Reason = finished.Reason == FinishReason.Stop ? Wire.FinishReason.Stop : Wire.FinishReason.Length,
        Text = finished.Text,
        PromptTokens = finished.Timings.PromptTokens,
        GeneratedTokens = finished.Timings.GeneratedTokens,
        TimeToFirstTokenMs = finished.Timings.TimeToFirstToken.TotalMilliseconds,
        DecodeTokensPerSecond = finished.Timings.DecodeTokensPerSecond,
    };
}
