using TensorParallel.Worker.Devices;
using TensorParallel.Worker.KvCache;

namespace TensorParallel.Worker.Modules;

/// <summary>Causal attention over this rank's heads, whose output projection joins the ranks.</summary>
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
    /// <summary>Attention of Normed's rows into Delta.</summary>
    public void Forward(Activations a)
    {
        qkv.Forward(a.Normed, a.Qkv, a.GatherPart);
        if (shape.Heads.QueryHeads > 0)
        {
            var view = cache.Layer(shape.Layer);
            context.Ops.RopeAndWriteKv(a.Qkv, shape.Heads, cosSin, a.Rows, view);
            context.Ops.Attention(a.Qkv, shape.Heads, shape.Options, a.Rows, view, a.AttentionOutput);
        }

        output.Forward(a.AttentionOutput, a.Delta, a.GatherPart);
    }
}
