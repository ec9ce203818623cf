using System.Text.Json;

namespace TensorParallel.Protocol.Parallel;

/// <summary>A plan as JSON and back.</summary>
public static class PlanJson
{
    /// <summary>The JSON text.</summary>
    public static string Serialize(ExecutionPlan plan) => JsonSerializer.Serialize(plan);

    /// <summary>Reads <see cref="Serialize"/>'s text.</summary>
    public static ExecutionPlan Deserialize(string json) => JsonSerializer.Deserialize<ExecutionPlan>(json)!;
}
