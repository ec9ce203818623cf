using System.Text.Json.Serialization;

namespace TensorParallel.Coordinator.Planning.Estimates;

/// <summary>A model spread over a number of devices in one mode.</summary>
/// <param name="Mode"><c>tensor_parallel</c> or <c>device_map</c> (by <c>fit</c>).</param>
/// <param name="DeviceCount">Number of devices.</param>
/// <param name="Devices">What each holds; empty where the mode is not possible.</param>
/// <param name="Obstacle">Why it is not possible; null where it is.</param>
/// <param name="Spilled">Bytes of weights beside the devices, by <c>cpu</c> and <c>disk</c>.</param>
internal sealed record SpreadEstimate(
    [property: JsonPropertyName("mode")] string Mode,
    [property: JsonPropertyName("device_count")] int DeviceCount,
    [property: JsonPropertyName("devices")] IReadOnlyList<DeviceNeed> Devices,
    [property: JsonPropertyName("obstacle")] string? Obstacle,
    [property: JsonPropertyName("spilled_bytes")] IReadOnlyDictionary<string, long> Spilled)
{
    /// <summary>Every device has room for its part.</summary>
    [JsonPropertyName("fits")]
    public bool Fits => Obstacle is null && Devices.All(device => device.Fits);

    /// <summary>
    /// The longest context that still fits with the same batch, at most the model's own: with nothing beside the devices, or where
    /// that is not possible, with as much there as it takes; null: none fits, or no budget is given.
    /// </summary>
    [JsonPropertyName("largest_context")]
    public int? LargestContext { get; init; }

    /// <summary>The device that holds most; null where there is none.</summary>
    [JsonIgnore]
    public DeviceNeed? Fullest => Devices.MaxBy(device => device.TotalBytes);
}
