using TensorParallel.Protocol.Architectures;

namespace TensorParallel.Worker.Modules;

/// <summary>Down(act(Gate(x)) ⊙ Up(x)) over this rank's intermediate columns; Down joins the ranks.</summary>
/// <param name="context">Operations.</param>
/// <param name="gateUp">Projection to [gate | up].</param>
/// <param name="down">Projection back to the hidden size.</param>
/// <param name="activation">Applied to the gate.</param>
internal sealed class GatedMlp(
    RankContext context, FusedProjection gateUp, ParallelLinear down, ActivationKind activation)
{
    /// <summary>The MLP of Normed's rows into Delta.</summary>
    public void Forward(Activations a)
    {
        gateUp.Forward(a.Normed, a.GateUp, a.GatherPart);
        var columns = a.GateUp.Columns / 2;
        if (columns > 0)
        {
            context.Ops.GatedActivation(
                a.GateUp.ColumnsAt(0, columns), a.GateUp.ColumnsAt(columns, columns), activation, a.Intermediate);
        }

        down.Forward(a.Intermediate, a.Delta, a.GatherPart);
    }
}
