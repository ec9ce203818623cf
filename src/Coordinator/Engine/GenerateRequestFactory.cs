using TensorParallel.Coordinator.Text;
using TensorParallel.Protocol.Generation;

namespace TensorParallel.Coordinator.Engine;

/// <summary>
/// Makes requests for one model: tokenises, checks everything, fills in defaults. The one place where a request is
/// judged, whoever sends it. Thread-safe.
/// </summary>
/// <param name="tokenizer">Null: prompts must be ids, and stop strings are refused.</param>
/// <param name="vocabularySize">Ids are below this.</param>
/// <param name="maxContextTokens">Prompt and new tokens together.</param>
/// <param name="eosTokenIds">The model's own end-of-sequence ids.</param>
internal sealed class GenerateRequestFactory(
    Tokenizer? tokenizer, int vocabularySize, int maxContextTokens, IReadOnlyList<int> eosTokenIds)
{
    private const int DefaultMaxNewTokens = 128;

    /// <summary>The request. Throws <see cref="RequestException"/> with every problem found.</summary>
    public GenerateRequest Create(PromptInput prompt, GenerateOptions options)
    {
        var problems = GenerateOptionsProblems.Of(options).ToList();
        if (tokenizer is null && options.Stop.Count > 0)
        {
            problems.Add("Stop strings need a tokenizer, and the model folder has no tokenizer.json.");
        }

        CheckIds("An end-of-sequence id", options.EosTokenIds, problems);
        var promptIds = Encode(prompt, problems);
        return problems.Count == 0 ? Fill(promptIds, options) : throw new RequestException(problems);
    }

    private IReadOnlyList<int> Encode(PromptInput prompt, List<string> problems)
    {
        var ids = prompt.Ids ?? tokenizer?.Encode(prompt.Text!);
        if (ids is null)
        {
            problems.Add(
                "A text prompt needs a tokenizer, and the model folder has no tokenizer.json: give the prompt as ids.");
            return [];
        }

        if (ids.Count == 0)
        {
            problems.Add("The prompt is empty: it needs at least one token.");
        }
        else if (ids.Count >= maxContextTokens)
        {
            problems.Add(
                $"The prompt has {ids.Count} tokens, but the context holds {maxContextTokens}, and the answer needs at "
                + "least one of them.");
        }

        CheckIds("A prompt id", ids, problems);
        return ids;
    }

    private void CheckIds(string what, IReadOnlyList<int> ids, List<string> problems)
    {
        var wrong = ids.Where(id => (uint)id >= (uint)vocabularySize).ToArray();
        if (wrong.Length > 0)
        {
            var others = wrong.Length > 1 ? $" ({wrong.Length - 1} more are wrong too)" : string.Empty;
            problems.Add($"{what} is {wrong[0]}, but the vocabulary's ids are 0 to {vocabularySize - 1}{others}.");
        }
    }

    private GenerateRequest Fill(IReadOnlyList<int> promptIds, GenerateOptions options)
    {
        var sampling = new SamplingParameters
        {
            Temperature = options.Temperature ?? 0f,
            TopK = options.TopK,
            TopP = options.TopP ?? 1f,
            MinP = options.MinP,
            RepetitionPenalty = options.RepetitionPenalty ?? 1f,
            PresencePenalty = options.PresencePenalty,
            FrequencyPenalty = options.FrequencyPenalty,
            Seed = options.Seed ?? (ulong)Random.Shared.NextInt64(),
            LogProbs = options.LogProbs,
            MinNewTokens = options.MinNewTokens,
            EosTokenIds = options.IgnoreEos ? [] : [.. eosTokenIds.Union(options.EosTokenIds)],
        };
        var asked = options.MaxNewTokens ?? Math.Max(DefaultMaxNewTokens, options.MinNewTokens);
        var maxNewTokens = Math.Min(asked, maxContextTokens - promptIds.Count);
        return new GenerateRequest([.. promptIds], maxNewTokens, sampling, [.. options.Stop]);
    }
}
