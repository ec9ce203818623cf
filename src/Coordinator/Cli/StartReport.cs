using System.Globalization;
using System.Text.Json.Serialization;

namespace TensorParallel.Coordinator.Cli;

/// <summary>From the start of the coordinator's process to the first token.</summary>
/// <param name="FirstTokenSeconds">All of it.</param>
/// <param name="Parts">
/// <c>coordinator</c>, <c>prepare</c>, <c>workers</c> and <c>first token</c> follow one another; <c>worker …</c> runs inside them.
/// </param>
internal sealed record StartReport(
    [property: JsonPropertyName("first_token_s")] double FirstTokenSeconds,
    [property: JsonPropertyName("parts")] IReadOnlyList<StartReportPart> Parts)
{
    /// <summary>One line for people.</summary>
    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture, $"first token {FirstTokenSeconds:F2} s after the start: ")
        + string.Join(", ", Parts.Select(part => string.Create(
            CultureInfo.InvariantCulture, $"{part.Name} {part.Seconds:F2} s at {part.AtSeconds:F2}")));
}
