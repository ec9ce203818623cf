using System.Text.Json;
using System.Text.Json.Serialization;

namespace TensorParallel.Coordinator.Benchmarking;

/// <summary>Everything that <c>bench</c> measured; its JSON has these names in snake case.</summary>
/// <param name="CommandLine">The command that made the figures: no figure without it.</param>
/// <param name="Model">Name of the model.</param>
/// <param name="Weights"><c>checkpoint</c> or <c>random</c>.</param>
/// <param name="DType">Dtype of weights and cache.</param>
/// <param name="Devices">The devices of every mode.</param>
/// <param name="Runs">Measured runs of each cell; figures are their medians.</param>
/// <param name="FallbackReasons">Why tensor parallelism was not possible; empty when it was, or was not asked for.</param>
/// <param name="Modes">The mode asked for, then the one to compare with.</param>
internal sealed record BenchReport(
    string CommandLine,
    string Model,
    string Weights,
    [property: JsonPropertyName("dtype")] string DType,
    IReadOnlyList<string> Devices,
    int Runs,
    IReadOnlyList<string> FallbackReasons,
    IReadOnlyList<ModeReport> Modes)
{
    private static readonly JsonSerializerOptions s_json = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    };

    /// <summary>One JSON object.</summary>
    public string ToJson() => JsonSerializer.Serialize(this, s_json);
}
