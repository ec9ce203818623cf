using System.Runtime.InteropServices;
using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Loading;
using TensorParallel.Worker.Ops;
using TensorParallel.Worker.Ops.Cpu;

namespace TensorParallel.Worker.Offloading;

/// <summary>
/// Products with weights in host memory by the host's processors, for few rows: the rows come over the bus instead of the weights. 8 KB for
/// 100 MB, so that the wait for them (some 20 µs, there and back) is what it costs. Sums in f32, rounded once, as on the device.
/// Used by the thread that issues operations, which waits; copies to the device go on meanwhile.
/// </summary>
internal sealed class HostProducts : IDisposable
{
    /// <summary>Most rows of a product: with more, processors are busier multiplying than reading.</summary>
    public const int MostRows = 8;

    private const string TimedName = "host_product";

    private readonly IDevice _device;
    private readonly CpuDevice _host;
    private readonly IDeviceOps _ops;
    private readonly IOperationTimes? _times;
    private readonly Dictionary<string, DeviceBuffer> _room = [];
    private byte[] _passing = [];

    /// <summary>Starts the threads.</summary>
    /// <param name="device">The device that the rows come from and go to.</param>
    /// <param name="threads">Threads to multiply with, at least 1.</param>
    /// <param name="times">Takes their times; null: nobody asks.</param>
    public HostProducts(IDevice device, int threads, IOperationTimes? times = null)
    {
        _times = times;
        _device = device;
        _host = new CpuDevice("host", threads);
        _ops = new CpuOps(_host);
        Threads = threads;
    }

    /// <summary>Threads that multiply.</summary>
    public int Threads { get; }

    /// <summary>A tensor in host memory as the host's operations see it; it stays its owner's.</summary>
    public Tensor View(Tensor tensor) => tensor with { Buffer = _host.View(tensor.Buffer.Address, tensor.Buffer.Bytes) };

    /// <summary>A copy of a vector of the device, in f32; lives as long as this.</summary>
    public Tensor Fetch(Tensor vector)
    {
        var copy = ((IDevice)_host).AllocateTensor(DType.F32, 1, vector.Columns, MemoryPurpose.Workspace);
        CopyIn(vector, copy);
        return copy;
    }

    /// <summary>output = x · weightᵀ (+ bias). x, output: activations on the device; weight, bias: the host's.</summary>
    public void Multiply(Tensor x, Tensor weight, Tensor? bias, Tensor output)
    {
        using var timing = _times?.Time(TimedName);
        var result = Room(nameof(output), output.Rows, output.Columns);
        _ops.MatMul(CopyIn(x), weight, bias, result);
        CopyOut(result, output);
    }

    /// <summary>output = act(gate) ⊙ up, where [gate | up] = x · weightᵀ (+ bias).</summary>
    public void MultiplyGated(Tensor x, Tensor weight, Tensor? bias, ActivationKind activation, Tensor output)
    {
        using var timing = _times?.Time(TimedName);
        var result = Room(nameof(output), output.Rows, output.Columns);
        var fused = Room("fused", output.Rows, weight.Rows);
        _ops.MatMulGated(CopyIn(x), weight, bias, activation, fused, result);
        CopyOut(result, output);
    }

    /// <summary>The products of a group with rows of zeros, for measuring; nothing is copied.</summary>
    public void Rehearse(WeightGroup group, int rows)
    {
        foreach (var weight in group.Hosted.Where(weight => weight is { InFeatures: > 0, OutFeatures: > 0 }))
        {
            var x = Room("x", rows, weight.InFeatures);
            _host.Clear(x.Buffer, 0, (long)rows * x.Columns * sizeof(float));
            _ops.MatMul(x, weight.Home, null, Room("output", rows, weight.OutFeatures));
        }
    }

    public void Dispose() => Disposal.Of(_ops, _host); // with all memory

    private Tensor CopyIn(Tensor x)
    {
        var copy = Room(nameof(x), x.Rows, x.Columns);
        CopyIn(x, copy);
        return copy;
    }

    private unsafe void CopyIn(Tensor source, Tensor target)
    {
        var rowBytes = source.Columns * source.DType.SizeInBytes();
        for (var row = 0; row < source.Rows; row++)
        {
            var from = source.RowsAt(row, 1);
            var passing = Passing(rowBytes);
            _device.CopyToHost(from.Buffer, from.OffsetBytes, passing);
            var floats = new Span<byte>((void*)target.RowsAt(row, 1).Address, source.Columns * sizeof(float));
            DTypeConversion.Convert(source.DType, passing, DType.F32, floats);
        }
    }

    private unsafe void CopyOut(Tensor source, Tensor target)
    {
        for (var row = 0; row < source.Rows; row++)
        {
            var to = target.RowsAt(row, 1);
            var passing = Passing(source.Columns * target.DType.SizeInBytes());
            var floats = new ReadOnlySpan<float>((void*)source.RowsAt(row, 1).Address, source.Columns);
            DTypeConversion.Convert(DType.F32, MemoryMarshal.AsBytes(floats), target.DType, passing);
            _device.CopyToDevice(passing, to.Buffer, to.OffsetBytes);
        }
    }

    private Span<byte> Passing(int bytes)
    {
        if (_passing.Length < bytes)
        {
            _passing = GC.AllocateUninitializedArray<byte>(bytes);
        }

        return _passing.AsSpan(0, bytes);
    }

    private Tensor Room(string name, int rows, int columns)
    {
        var bytes = Math.Max(1, (long)rows * columns * sizeof(float));
        if (!_room.TryGetValue(name, out var buffer) || buffer.Bytes < bytes)
        {
            buffer?.Dispose();
            _room[name] = buffer = _host.Allocate(bytes, MemoryPurpose.Workspace);
        }

        return new Tensor(buffer, 0, DType.F32, rows, columns, columns);
    }
}
