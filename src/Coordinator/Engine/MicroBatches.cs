using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Engine;

/// <summary>Into how many parts the running sequences of a plan are divided.</summary>
internal static class MicroBatches
{
    /// <summary>
    /// Workers have that many steps' tokens on their way from the last stage to the first; more parts would only wait for each other.
    /// </summary>
    public const int Most = 8;

    /// <summary>
    /// As many as there are stages that hold anything; 1 under tensor parallelism and on one device, whatever was asked for.
    /// </summary>
    /// <param name="plan">The plan.</param>
    /// <param name="asked">The user's number; null: none.</param>
    public static int Of(ExecutionPlan plan, int? asked)
    {
        var stages = Stages(plan);
        return stages <= 1 ? 1 : Math.Min(asked ?? stages, Most);
    }

    /// <summary>There are several stages, of which the user wants one to work at a time.</summary>
    /// <param name="plan">The plan.</param>
    /// <param name="asked">The user's number; null: none.</param>
    public static bool IsOneStageAtATime(ExecutionPlan plan, int? asked) => asked == 1 && Stages(plan) > 1;

    private static int Stages(ExecutionPlan plan) => plan.Mode == PlanMode.TensorParallel
        ? 1
        : plan.Ranks.Count(rank => rank.Layers.Length > 0 || rank.HasEmbedding || rank.HasOutputHead);
}
