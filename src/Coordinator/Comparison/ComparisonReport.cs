using System.Text.Json.Serialization;

namespace TensorParallel.Coordinator.Comparison;

/// <summary>
/// The comparison of tensor parallelism with the sequential device map; what <c>compare --json</c> prints.
/// </summary>
/// <param name="Model">Name of the model.</param>
/// <param name="DType">Dtype of weights and cache.</param>
/// <param name="Devices">The devices both modes used.</param>
/// <param name="Prompts">Number of prompts.</param>
/// <param name="MaxNewTokens">Tokens generated for each.</param>
/// <param name="Repetitions">Measured runs of each prompt.</param>
/// <param name="TensorParallel">
/// Null where tensor parallelism is not possible; then <paramref name="FallbackReasons"/> says why.
/// </param>
/// <param name="DeviceMap">The sequential device map.</param>
/// <param name="FallbackReasons">Why tensor parallelism was not possible; empty when it was.</param>
/// <param name="Agreement">One entry a prompt; empty without a tensor-parallel run.</param>
internal sealed record ComparisonReport(
    [property: JsonPropertyName("model")] string Model,
    [property: JsonPropertyName("dtype")] string DType,
    [property: JsonPropertyName("devices")] IReadOnlyList<string> Devices,
    [property: JsonPropertyName("prompts")] int Prompts,
    [property: JsonPropertyName("max_new_tokens")] int MaxNewTokens,
    [property: JsonPropertyName("repetitions")] int Repetitions,
    [property: JsonPropertyName("tensor_parallel")] ModeMeasurement? TensorParallel,
    [property: JsonPropertyName("device_map")] ModeMeasurement DeviceMap,
    [property: JsonPropertyName("fallback_reasons")] IReadOnlyList<string> FallbackReasons,
    [property: JsonPropertyName("agreement")] IReadOnlyList<TokenAgreement> Agreement)
{
    /// <summary>Every prompt gave the same tokens in both modes; false without a tensor-parallel run.</summary>
    [JsonPropertyName("tokens_agree")]
    public bool TokensAgree => Agreement.Count > 0 && Agreement.All(prompt => prompt.Agrees);
}
