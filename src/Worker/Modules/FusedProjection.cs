using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Modules;

/// <summary>
/// Linear layers that read the same input and write side by side: q, k, v or gate, up. Usually one stacked product;
/// several where the plan joins the layers in different ways.
/// </summary>
/// <param name="linears">In output order.</param>
internal sealed class FusedProjection(IReadOnlyList<ParallelLinear> linears)
{
    /// <summary>The layers, or what stands for several of them.</summary>
    public IReadOnlyList<ParallelLinear> Linears => linears;

    /// <summary>Columns of the output.</summary>
    public int OutputColumns => linears.Sum(l => l.OutputColumns);

    /// <summary>The one product that computes all columns on this rank alone, or null.</summary>
    public ParallelLinear? LocalProduct => linears is [{ IsLocal: true } only] ? only : null;

    /// <summary>output = the layers' outputs, side by side. x: [T, columns]; output: [T, OutputColumns].</summary>
    public void Forward(Tensor x, Tensor output, Tensor? gatherPart)
    {
        var column = 0;
        foreach (var linear in linears)
        {
            linear.Forward(x, output.ColumnsAt(column, linear.OutputColumns), gatherPart);
            column += linear.OutputColumns;
        }
    }
}
