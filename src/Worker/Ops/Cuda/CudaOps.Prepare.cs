using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Ops.Cuda;

/// <content>Machine code ahead of its first use.</content>
internal sealed partial class CudaOps
{
    // NVRTC takes up to half a second a kernel; beyond this many at once its own locks are waited for.
    private const int MostCompilerThreads = 8;

    private IReadOnlyCollection<CudaKernel> _prepared = [];

    public IReadOnlyList<int> ProductRows(int most) => _products is null ? [] : ProductSizes.UpTo(most);

    public int Prepare(DType modelDType, IReadOnlyCollection<int> headDims, int threads)
    {
        var asked = CudaKernels.Of(modelDType, headDims, _device.Capability, _device.SharedMemoryBytes).ToArray();
        var kernels = asked.DistinctBy(k => (k.File, k.Defines)).ToArray();
        var architecture = CudaCompiler.Architecture(_device.Capability);
        _prepared = [.. asked.DistinctBy(k => (k.File, k.Defines, k.Use)).Where(kernel => !CudaKernels.IsOfGroup(kernel))];
        return _device.Modules.Code.Prepare(kernels, architecture, Math.Min(threads, MostCompilerThreads));
    }

    public void LoadPrepared() => _device.Modules.Load(_prepared);
}
