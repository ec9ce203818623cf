using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Ops.Cpu;

/// <summary>
/// The operations on the processor: weights and cache in their own dtype, activations and sums in f32. Every operation
/// is done when it returns. Results depend neither on the number of threads nor on what else is in the step: a token's
/// row is the same bits alone and among others.
/// </summary>
internal sealed partial class CpuOps : IDeviceOps
{
    // Elements below which an operation that only streams is faster alone than shared out: a hand-over costs about
    // 1 µs.
    private const int ElementsWorthSharing = 16 * 1024;

    private readonly CpuDevice _device;
    private readonly CpuKernels _kernels;
    private readonly Scratch _packed;
    private readonly Scratch _perThread;
    private readonly Scratch _shared;

    /// <summary>Operations on <paramref name="device"/>, which stays the caller's.</summary>
    /// <param name="device">Gives memory and threads.</param>
    /// <param name="width">Vectors to compute with; null: the widest that the hardware has.</param>
    public CpuOps(CpuDevice device, CpuVectorWidth? width = null)
    {
        _device = device;
        _kernels = CpuKernels.Create(width ?? CpuKernels.WidestVectors);
        _packed = new Scratch(device);
        _perThread = new Scratch(device);
        _shared = new Scratch(device);
    }

    public IDevice Device => _device;

    public DType ActivationDType(DType modelDType) => DType.F32;

    /// <summary>Returns the scratch memory.</summary>
    public void Dispose()
    {
        _packed.Dispose();
        _perThread.Dispose();
        _shared.Dispose();
    }

    private static unsafe float* Row(Tensor tensor, int row) => (float*)tensor.Address + ((long)row * tensor.RowStride);

    private static unsafe byte* RowBytes(Tensor tensor, int row) =>
        (byte*)tensor.Address + ((long)row * tensor.RowStride * tensor.DType.SizeInBytes());

    /// <summary>Runs one part a row, on one thread where the rows together are few.</summary>
    private void RunRows<TWork>(int rows, int columns, in TWork work)
        where TWork : struct, ICpuWork
    {
        if ((long)rows * columns >= ElementsWorthSharing)
        {
            _device.Threads.Run(rows, work);
            return;
        }

        for (var row = 0; row < rows; row++)
        {
            work.Run(row, 0);
        }
    }
}
