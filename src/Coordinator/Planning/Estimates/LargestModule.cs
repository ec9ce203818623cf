using System.Text.Json.Serialization;

namespace TensorParallel.Coordinator.Planning.Estimates;

/// <summary>The largest thing that stays whole in a device map: a layer, the embedding or the head.</summary>
/// <param name="Module">Its name; of several alike the first.</param>
/// <param name="Bytes">Its weights.</param>
internal sealed record LargestModule(
    [property: JsonPropertyName("module")] string Module,
    [property: JsonPropertyName("bytes")] long Bytes);
