using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Native;
using Xunit;

namespace TensorParallel.Worker.Gpu.Tests;

/// <summary>The GPU that tests run on; where there is none, tests skip and say why.</summary>
public static class Gpu
{
    /// <summary>Why no GPU test can run, or null.</summary>
    public static string? Reason => CudaDriver.UnavailableReason ?? Nvrtc.UnavailableReason;

    // Keeps the context alive between tests: opening one anew takes a good part of a second.
    private static readonly Lazy<CudaDevice> s_kept = new(() => new CudaDevice(0));

    /// <summary>Skips the test where there are fewer GPUs, or no NCCL to join several.</summary>
    internal static unsafe void Need(int gpus)
    {
        Assert.SkipWhen(Reason is not null, Reason ?? string.Empty);
        int count;
        CudaDriver.Check(CudaDriver.cuDeviceGetCount(&count));
        Assert.SkipWhen(count < gpus, $"{gpus} GPUs are needed, but there are {count}.");
        Assert.SkipWhen(gpus > 1 && Nccl.UnavailableReason is not null, Nccl.UnavailableReason ?? string.Empty);
        _ = s_kept.Value;
    }

    /// <summary>Opens GPU 0 with poisoned memory.</summary>
    internal static CudaDevice Open()
    {
        Assert.SkipWhen(Reason is not null, Reason ?? string.Empty);
        _ = s_kept.Value;
        return new CudaDevice(0, poison: true);
    }
}
