using System.Globalization;
using TensorParallel.Protocol.Parallel;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops.Cpu;
using TensorParallel.Worker.Ops.Cuda;

namespace TensorParallel.Worker.Ops;

/// <summary>All kinds of devices. To add one: its device, its operations, and one line in the list.</summary>
internal static class DeviceBackendCatalog
{
    /// <summary>Opens a device of each kind.</summary>
    public static IReadOnlyDictionary<string, Func<DeviceOpening, DeviceBackend>> Backends { get; } =
        new Dictionary<string, Func<DeviceOpening, DeviceBackend>>(StringComparer.Ordinal)
        {
            [DeviceKinds.Cpu] = OpenCpu,
            [DeviceKinds.Cuda] = OpenCuda,
        };

    /// <summary>
    /// What can be done for a device before it is opened, from any thread, with names for reports; nothing for most kinds. Their
    /// failures come again when it is opened.
    /// </summary>
    public static IReadOnlyList<(string Name, Action Step)> WakingSteps(string device) =>
        DeviceKinds.Of(device) == DeviceKinds.Cuda
            ? [("driver", CudaDevice.WakeDriver), ("context", () => CudaDevice.WakeContext(CudaOrdinal(device)))]
            : [];

    /// <summary>Opens a device.</summary>
    /// <exception cref="PlanException">The name is not one of a device that this worker knows.</exception>
    /// <exception cref="Native.NativeException">The device is not there, or a library that it needs.</exception>
    public static DeviceBackend Open(DeviceOpening opening) =>
        Backends.TryGetValue(DeviceKinds.Of(opening.Name), out var open)
            ? open(opening)
            : throw new PlanException(
                $"This worker cannot open the device {opening.Name}: it knows {string.Join(", ", Backends.Keys.Select(k => k + ":N"))}.");

    private static ISamplingOps OpenCudaSampling(CudaDevice device) =>
        Environment.GetEnvironmentVariable(CudaSamplingOps.ChoiceVariable) == "host"
            ? new CudaHostSamplingOps(device)
            : new CudaSamplingOps(device);

    private static DeviceBackend OpenCpu(DeviceOpening opening)
    {
        var device = new CpuDevice(opening.Name, opening.Threads, opening.MemoryBudgetBytes, opening.Poison);
        return new DeviceBackend(device, new CpuOps(device), new CpuSamplingOps())
        {
            Measuring = new CpuMeasuringOps(device),
        };
    }

    private static DeviceBackend OpenCuda(DeviceOpening opening)
    {
        var device = new CudaDevice(CudaOrdinal(opening.Name), opening.Poison, opening.Evictable);
        try
        {
            device.Modules.SuitParts(opening.Parts);
            return new DeviceBackend(device, new CudaOps(device), OpenCudaSampling(device))
            {
                Measuring = new CudaMeasuringOps(device),
                Warning = Native.CublasLt.UnavailableReason is { } reason
                    ? $"Prompts are computed by slow kernels, 16 tokens at a time: {reason}"
                    : null,
            };
        }
        catch
        {
            device.Dispose();
            throw;
        }
    }

    private static int CudaOrdinal(string name)
    {
        var number = name.AsSpan(DeviceKinds.Cuda.Length);
        return number.Length > 1 && int.TryParse(number[1..], NumberStyles.None, CultureInfo.InvariantCulture, out var ordinal)
            ? ordinal
            : throw new PlanException($"{name} is no device: GPUs are named cuda:0, cuda:1 and so on.");
    }
}
