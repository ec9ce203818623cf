using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops;
using Xunit;

namespace TensorParallel.Worker.Tests.Ops;

/// <summary>
/// What every implementation of <see cref="IDeviceOps"/> must do, against plain loops in double precision. A backend
/// derives one class and hands over its device and operations, which are disposed here. Inputs are fresh at each run;
/// the seed is printed, and the environment variable OPS_SEED repeats one.
/// </summary>
public abstract partial class OpsConformance : IDisposable
{
    private readonly IDisposable _device;
    private readonly IDisposable _ops;
    private readonly List<TestTensor> _inputs = [];

    /// <summary>
    /// Takes over the device and the operations (an <see cref="IDevice"/> and an <see cref="IDeviceOps"/>).
    /// </summary>
    protected OpsConformance(ITestOutputHelper output, IDisposable device, IDisposable ops)
    {
        _device = device;
        _ops = ops;
        var seed = Environment.GetEnvironmentVariable("OPS_SEED") is { } fixedSeed
            ? int.Parse(fixedSeed, System.Globalization.CultureInfo.InvariantCulture)
            : Random.Shared.Next();
        output.WriteLine($"seed {seed}");
        Random = new Random(seed);
    }

    /// <summary>Source of all inputs of one test.</summary>
    protected Random Random { get; }

    private IDevice Device => (IDevice)_device;

    private IDeviceOps Ops => (IDeviceOps)_ops;

    public void Dispose()
    {
        _ops.Dispose();
        _device.Dispose();
        GC.SuppressFinalize(this);
    }

    /// <summary>A tensor of random values, which no operation may change.</summary>
    private TestTensor Input(DType dtype, int rows, int columns, double range = 1, int? padding = null)
    {
        var values = new double[rows, columns];
        for (var t = 0; t < rows; t++)
        {
            for (var i = 0; i < columns; i++)
            {
                values[t, i] = ((Random.NextDouble() * 2) - 1) * range;
            }
        }

        return Input(dtype, values, padding);
    }

    private TestTensor Input(DType dtype, double[,] values, int? padding = null)
    {
        var tensor = new TestTensor(
            Device, dtype, values.GetLength(0), values.GetLength(1), padding ?? Random.Next(0, 9), values);
        _inputs.Add(tensor);
        return tensor;
    }

    /// <summary>A row of integers, which no operation may change.</summary>
    private TestTensor Integers(int[] values)
    {
        var row = new double[1, values.Length];
        for (var i = 0; i < values.Length; i++)
        {
            row[0, i] = values[i];
        }

        return Input(DType.I32, row);
    }

    private TestTensor Output(int rows, int columns, DType dtype = DType.F32) =>
        new(Device, dtype, rows, columns, Random.Next(0, 9), null);

    /// <summary>A tensor that an operation reads and writes.</summary>
    private TestTensor Target(int rows, int columns)
    {
        var tensor = Input(DType.F32, rows, columns);
        _inputs.Remove(tensor);
        return tensor;
    }

    private void AssertInputsUntouched()
    {
        Device.Synchronize();
        foreach (var input in _inputs)
        {
            input.AssertUntouched("input");
        }
    }
}
