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

    /// <summary>Dtype of the activations of every case: what <see cref="IDeviceOps.ActivationDType"/> may answer.</summary>
    protected virtual DType Activation => DType.F32;

    /// <summary>Elements between rows, and before the first: any number; a backend with fast paths for aligned rows says so.</summary>
    protected virtual int NextPadding() => Random.Next(0, 9);

    /// <summary>Dtype of keys and values for a case that asks for one; a backend with fast paths for one dtype says which.</summary>
    protected virtual DType CacheDTypeFor(DType wanted) => wanted;

    /// <summary>What rounding to the activation's dtype may add, relative to a value of size 1: half a unit in its last place.</summary>
    private double Rounding => Activation switch
    {
        DType.BF16 => Math.ScaleB(1, -8),
        DType.F16 => Math.ScaleB(1, -11),
        _ => 0,
    };

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
            Device, dtype, values.GetLength(0), values.GetLength(1), padding ?? NextPadding(), values);
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

    private TestTensor Output(int rows, int columns, DType? dtype = null) =>
        new(Device, dtype ?? Activation, rows, columns, NextPadding(), null);

    /// <summary>A tensor that an operation reads and writes.</summary>
    private TestTensor Target(int rows, int columns)
    {
        var tensor = Input(Activation, rows, columns);
        _inputs.Remove(tensor);
        return tensor;
    }

    /// <summary>Room for one rounding of a value to the activation's dtype; f16 also has a smallest step of 2^-24.</summary>
    private double Rounded(double value) => Rounding == 0 ? 0 : (Rounding * Math.Abs(value) * 1.01) + Math.ScaleB(1, -24);

    private void AssertInputsUntouched()
    {
        Device.Synchronize();
        foreach (var input in _inputs)
        {
            input.AssertUntouched("input");
        }
    }
}
