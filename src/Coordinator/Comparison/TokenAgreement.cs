using System.Text.Json.Serialization;

namespace TensorParallel.Coordinator.Comparison;

/// <summary>Whether two runs generated the same tokens for one prompt.</summary>
/// <param name="Prompt">Number of the prompt, from 0.</param>
/// <param name="Agrees">All ids are equal.</param>
/// <param name="FirstDifference">Index of the first generated token that differs; null when none does.</param>
internal sealed record TokenAgreement(
    [property: JsonPropertyName("prompt")] int Prompt,
    [property: JsonPropertyName("agrees")] bool Agrees,
    [property: JsonPropertyName("first_difference")] int? FirstDifference)
{
    /// <summary>Compares prompt by prompt; both lists are equally long.</summary>
    public static IReadOnlyList<TokenAgreement> Of(ModeMeasurement left, ModeMeasurement right) =>
        [.. left.TokenIds.Zip(right.TokenIds, (a, b) => (a, b)).Select((pair, prompt) => Of(prompt, pair.a, pair.b))];

    private static TokenAgreement Of(int prompt, IReadOnlyList<int> left, IReadOnlyList<int> right)
    {
        var same = left.Zip(right).TakeWhile(pair => pair.First == pair.Second).Count();
        return same == left.Count && same == right.Count
            ? new TokenAgreement(prompt, true, null)
            : new TokenAgreement(prompt, false, same);
    }
}
