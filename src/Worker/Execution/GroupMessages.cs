using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;
using TensorParallel.Worker.Ops;

namespace TensorParallel.Worker.Execution;

/// <summary>Sizes that a group of ranks must agree on before it is joined.</summary>
internal static class GroupMessages
{
    /// <summary>
    /// Largest tensor that any rank passes to a collective: hidden rows, gathered columns, whole logits or samplers'
    /// summaries. Example: 512 rows of 4,096 in F32 are 8 MiB.
    /// </summary>
    /// <param name="spec">The model.</param>
    /// <param name="plan">Its plan.</param>
    /// <param name="activation">Dtype of activations.</param>
    public static long MaxBytes(ModelSpec spec, ExecutionPlan plan, DType activation)
    {
        var summaries = (long)plan.Limits.MaxSequences * plan.WorldSize * SummaryLayout.MaxWords * sizeof(int);
        return plan.Ranks
            .SelectMany(rank => WorkspaceBuffers.For(spec, rank, plan.Limits, activation))
            .Where(buffer => buffer.DType != DType.I32)
            .Select(buffer => buffer.Bytes)
            .Append(summaries)
            .Max();
    }
}
