using TensorParallel.Worker.Devices;
using TensorParallel.Worker.KvCache;

namespace TensorParallel.Worker.Modules;

/// <summary>Causal attention over this rank's heads, whose output projection joins the ranks or leaves it to the reader.</summary>
/// <param name="context">Operations and peers.</param>
/// <param name="shape">Layer, heads and constants.</param>
/// <param name="qkv">Projection to [q | k | v].</param>
/// <param name="output">Projection back to the hidden size.</param>
/// <param name="cosSin">Rotary table; see <see cref="RopeTable"/>.</param>
/// <param name="cache">Keys and values.</param>
internal sealed class AttentionModule(
    RankContext context,
    AttentionShape shape,
    FusedProjection qkv,
    ParallelLinear output,
    Tensor cosSin,
    IKvCache cache)
{
    /// <summary>What is left in Delta.</summary>
    public PendingDelta Leaves => output.Leaves;

    /// <summary>Its products.</summary>
    public IEnumerable<ParallelLinear> Linears => [.. qkv.Linears, output];

    /// <summary>Attention of the rows of x [T, HiddenSize] into Delta.</summary>
    public void Forward(Tensor x, BlockActivations a)
    {
        var heads = shape.Heads;
        var fused = a.Qkv.ColumnsAt(0, heads.FusedColumns);
        var attended = a.AttentionOutput.ColumnsAt(0, heads.QueryHeads * heads.HeadDim);
        qkv.Forward(x, fused, a.GatherPart);
        if (heads.QueryHeads > 0)
        {
            var view = cache.Layer(shape.Layer);
            context.Ops.RotateAndAttend(fused, heads, cosSin, shape.Options, a.Rows, view, attended);
        }

        output.ForwardOpen(attended, a.Delta, a.GatherPart);
    }
}
