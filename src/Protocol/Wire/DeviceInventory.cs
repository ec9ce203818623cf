using System.Text.Json;
using System.Text.Json.Serialization;

namespace TensorParallel.Protocol.Wire;

/// <summary>What <c>worker probe</c> prints: the devices of one machine. JSON names are in snake case.</summary>
/// <param name="Cpu">The processors, as one device.</param>
/// <param name="Gpus">CUDA devices in the driver's order; empty when there are none.</param>
/// <param name="GpuUnavailableReason">One sentence why <paramref name="Gpus"/> is empty; null when it is not.</param>
public sealed record DeviceInventory(CpuInventory Cpu, IReadOnlyList<GpuInventory> Gpus, string? GpuUnavailableReason)
{
    private static readonly JsonSerializerOptions s_options = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
        WriteIndented = true,
    };

    /// <summary>One sentence why GPUs that are there cannot compute, a library being missing; null when they can.</summary>
    public string? GpuComputeProblem { get; init; }

    /// <summary>One sentence why GPUs that are there cannot work together; null when they can, or when there are not two.</summary>
    public string? GpuGroupProblem { get; init; }

    /// <summary>The JSON text.</summary>
    public string ToJson() => JsonSerializer.Serialize(this, s_options);

    /// <summary>Reads <see cref="ToJson"/>'s text; throws <see cref="WireException"/> for anything else.</summary>
    public static DeviceInventory FromJson(string json)
    {
        try
        {
            return JsonSerializer.Deserialize<DeviceInventory>(json, s_options)
                ?? throw new WireException("The device inventory is null.");
        }
        catch (JsonException exception)
        {
            throw new WireException($"The device inventory is not what 'worker probe' prints: {exception.Message}");
        }
    }
}
