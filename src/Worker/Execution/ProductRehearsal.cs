using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Generation;
using TensorParallel.Protocol.Parallel;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Modules;

namespace TensorParallel.Worker.Execution;

/// <summary>
/// Makes a model's products once before its first step, for every number of rows that a library may treat differently. A library reads the
/// machine code of a kernel when it is first asked for, which takes some 10 ms and waits until the device has done everything before: in
/// the middle of a pipeline every stage behind would stand still. What is in memory does not matter.
/// </summary>
internal static class ProductRehearsal
{
    private static readonly string[] s_inputs =
        [WorkspaceBuffers.Normed, WorkspaceBuffers.AttentionOut, WorkspaceBuffers.Activated, WorkspaceBuffers.GatheredRows];

    private static readonly string[] s_outputs =
        [WorkspaceBuffers.ProjectionOut, WorkspaceBuffers.FusedQkv, WorkspaceBuffers.GateUp, WorkspaceBuffers.GatherPart];

    /// <summary>Makes them. No step may be under way; the workspace is undefined afterwards.</summary>
    public static void Run(RankContext context, DecoderModel model, StepBuffers buffers, StepLimits limits)
    {
        var activation = buffers.Find(WorkspaceBuffers.Normed)?.DType;
        foreach (var linear in model.Linears.DistinctBy(linear => linear.Product))
        {
            foreach (var rows in context.Ops.ProductRows(limits.MaxStepTokens))
            {
                if (View(buffers, s_inputs, rows, linear.Product.InFeatures, activation) is { } x
                    && View(buffers, s_outputs, rows, linear.Product.OutFeatures, activation) is { } output)
                {
                    linear.Rehearse(x, output);
                }
            }
        }

        if (model.Head is { } head && buffers.Find(WorkspaceBuffers.Logits) is { } logits)
        {
            foreach (var rows in context.Ops.ProductRows(logits.Rows))
            {
                head.Rehearse(buffers[WorkspaceBuffers.GatheredRows].RowsAt(0, rows), logits.RowsAt(0, rows));
            }
        }
    }

    // A dense view at the beginning of some buffer that is large enough; null where none is.
    private static Tensor? View(StepBuffers buffers, string[] names, int rows, int columns, DType? dtype) => names
        .Select(buffers.Find)
        .OfType<Tensor>()
        .Where(buffer => buffer.DType == dtype && (long)rows * columns <= (long)buffer.Rows * buffer.Columns)
        .Select(buffer => (Tensor?)(buffer with { Rows = rows, Columns = columns, RowStride = columns }))
        .FirstOrDefault();
}
