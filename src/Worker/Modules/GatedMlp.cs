using TensorParallel.Protocol.Architectures;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Modules;

/// <summary>Down(act(Gate(x)) ⊙ Up(x)) over this rank's intermediate columns; Down joins the ranks or leaves it to the reader.</summary>
/// <param name="context">Operations.</param>
/// <param name="gateUp">Projection to [gate | up].</param>
/// <param name="down">Projection back to the hidden size.</param>
/// <param name="activation">Applied to the gate.</param>
internal sealed class GatedMlp(
    RankContext context, FusedProjection gateUp, ParallelLinear down, ActivationKind activation)
{
    /// <summary>What is left in Delta.</summary>
    public PendingDelta Leaves => down.Leaves;

    /// <summary>Its products.</summary>
    public IEnumerable<ParallelLinear> Linears => [.. gateUp.Linears, down];

    /// <summary>The MLP of the rows of x [T, HiddenSize] into Delta.</summary>
    public void Forward(Tensor x, BlockActivations a)
    {
        var columns = gateUp.OutputColumns / 2;
        var fused = a.GateUp.ColumnsAt(0, gateUp.OutputColumns);
        var activated = a.Intermediate.ColumnsAt(0, columns);
        if (columns > 0 && x.Columns > 0 && gateUp.LocalProduct is { } product)
        {
            product.ForwardGated(x, activation, fused, activated);
        }
        else
        {
            gateUp.Forward(x, fused, a.GatherPart);
            if (columns > 0)
            {
                context.Ops.GatedActivation(
                    fused.ColumnsAt(0, columns), fused.ColumnsAt(columns, columns), activation, activated);
            }
        }

        down.ForwardOpen(activated, a.Delta, a.GatherPart);
    }
}
