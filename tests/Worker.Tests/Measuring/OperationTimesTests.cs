using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;
using TensorParallel.Worker.Collectives;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Measuring;
using TensorParallel.Worker.Ops;
using TensorParallel.Worker.Ops.Cpu;
using TensorParallel.Worker.Quantization;
using Xunit;

namespace TensorParallel.Worker.Tests.Measuring;

public sealed class OperationTimesTests : IDisposable
{
    private readonly CpuDevice _device = new("cpu:0", 1);
    private readonly CpuOps _cpu;
    private readonly OperationTimes _times;

    public OperationTimesTests()
    {
        _cpu = new CpuOps(_device);
        _times = new OperationTimes(new CpuMeasuringOps(_device));
    }

    public void Dispose()
    {
        _times.Dispose();
        _cpu.Dispose();
        _device.Dispose();
    }

    [Fact]
    public void CallsAddUpByRowsAndProductsHaveTheirWeightsNames()
    {
        var weight = Tensor(8, 4);
        var (x, output, norm) = (Tensor(2, 4), Tensor(2, 8), Tensor(1, 4));
        _times.Name([Target("model.layers.0.mlp.gate_proj.weight", weight.RowsAt(0, 4)), Target("model.layers.0.mlp.up_proj.weight", weight.RowsAt(4, 4))]);
        var ops = new TimedOps(_cpu, _times);

        ops.MatMul(x, weight, null, output); // outside a step: not counted
        for (var step = 0; step < 3; step++)
        {
            _times.BeginStep();
            ops.MatMul(x, weight, null, output);
            ops.MatMul(x, weight.RowsAt(4, 4), null, output.ColumnsAt(0, 4));
            ops.RmsNorm(x, norm, 1e-5f, x);
            _times.EndStep(step < 2 ? 2 : 7);
        }

        var figures = _times.Take();

        Assert.Equal(
            [("gate_proj+up_proj", 2, 4, 2), ("norm", 2, 2, 2), ("rest", 2, 2, 2), ("step", 2, 2, 2),
             ("gate_proj+up_proj", 7, 2, 1), ("norm", 7, 1, 1), ("rest", 7, 1, 1), ("step", 7, 1, 1)],
            figures.Select(figure => (figure.Name, figure.Rows, figure.Count, figure.Steps)));
        Assert.All(figures, figure => Assert.True(figure.Microseconds > 0, figure.Name));
        Assert.Equal(figures[3].Microseconds, figures.Take(3).Sum(figure => figure.Microseconds), 1e-6);
        Assert.Empty(_times.Take());
        _times.BeginStep();
        _times.EndStep(3); // nothing was computed
        Assert.Empty(_times.Take());
    }

    [Theory]
    [InlineData(typeof(IDeviceOps), typeof(TimedOps))]
    [InlineData(typeof(ICollective), typeof(TimedCollective))]
    public void EveryOperationIsPassedOn(Type contract, Type decorator)
    {
        // One that is left to a default would run undecorated code in place of the device's own.
        var map = decorator.GetInterfaceMap(contract);
        Assert.All(
            map.InterfaceMethods.Zip(map.TargetMethods),
            pair => Assert.True(pair.Second.DeclaringType == decorator, $"{decorator.Name} does not pass {pair.First.Name} on."));
        Assert.True(map.InterfaceMethods.Length > 5);
    }

    private Tensor Tensor(int rows, int columns)
    {
        var tensor = ((IDevice)_device).AllocateTensor(DType.F32, rows, columns, MemoryPurpose.Workspace);
        _device.Clear(tensor.Buffer, 0, tensor.Buffer.Bytes);
        return tensor;
    }

    private static WeightTarget Target(string name, Tensor place) =>
        new(new TensorSlice(name, "colwise", null, [], 0), [place.Rows, place.Columns], place);
}
