using System.Globalization;

namespace TensorParallel.Coordinator.Engine;

/// <summary>What is wrong with options by themselves: one sentence a problem, with Hugging Face's names.</summary>
internal static class GenerateOptionsProblems
{
    private const int MostStopStrings = 16;
    private const int MostLogProbs = 20;

    /// <summary>All problems; none when the options can be used.</summary>
    public static IEnumerable<string> Of(GenerateOptions options) => Lengths(options)
        .Concat(Filters(options))
        .Concat(Penalties(options))
        .Concat(Stops(options))
        .OfType<string>();

    private static IEnumerable<string?> Lengths(GenerateOptions options)
    {
        yield return Unless(
            options.MaxNewTokens is null or >= 1, $"max_new_tokens is {options.MaxNewTokens}, but must be at least 1.");
        yield return Unless(
            options.MinNewTokens >= 0, $"min_new_tokens is {options.MinNewTokens}, but must not be negative.");
        yield return Unless(
            options.MaxNewTokens is null or < 1 || options.MinNewTokens <= options.MaxNewTokens,
            $"min_new_tokens is {options.MinNewTokens}, but max_new_tokens is only {options.MaxNewTokens}.");
        yield return Unless(
            options.LogProbs is >= 0 and <= MostLogProbs,
            $"logprobs is {options.LogProbs}, but must be from 0 to {MostLogProbs}.");
    }

    private static IEnumerable<string?> Filters(GenerateOptions options)
    {
        // Written so that NaN, for which every comparison is false, is refused too.
        yield return Unless(
            options.Temperature is null or (>= 0 and < float.PositiveInfinity),
            $"temperature is {Text(options.Temperature)}, but must be a finite number of at least 0.");
        yield return Unless(options.TopK >= 0, $"top_k is {options.TopK}, but must not be negative (0 keeps all).");
        yield return Unless(
            options.TopP is null or (> 0 and <= 1),
            $"top_p is {Text(options.TopP)}, but must be above 0 and at most 1.");
        yield return Unless(
            options.MinP is >= 0 and < 1, $"min_p is {Text(options.MinP)}, but must be at least 0 and below 1.");
    }

    private static IEnumerable<string?> Penalties(GenerateOptions options)
    {
        yield return Unless(
            options.RepetitionPenalty is null or (> 0 and < float.PositiveInfinity),
            $"repetition_penalty is {Text(options.RepetitionPenalty)}, but must be finite and above 0 (1 is none).");
        yield return Unless(
            float.IsFinite(options.PresencePenalty),
            $"presence_penalty is {Text(options.PresencePenalty)}, but must be a finite number.");
        yield return Unless(
            float.IsFinite(options.FrequencyPenalty),
            $"frequency_penalty is {Text(options.FrequencyPenalty)}, but must be a finite number.");
    }

    private static IEnumerable<string?> Stops(GenerateOptions options)
    {
        yield return Unless(
            options.Stop.Count <= MostStopStrings,
            $"There are {options.Stop.Count} stop strings, but at most {MostStopStrings} may be given.");
        yield return Unless(
            !options.Stop.Contains(string.Empty), "A stop string is empty: it would end every text before it begins.");
    }

    private static string? Unless(bool holds, string problem) => holds ? null : problem;

    private static string Text(float? value) => value?.ToString(CultureInfo.InvariantCulture) ?? "missing";
}
