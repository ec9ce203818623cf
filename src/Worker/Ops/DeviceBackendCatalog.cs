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
        var device = new CpuDevice(opening.Name, opening.Threads, poison: opening.Poison);
        return new DeviceBackend(device, new CpuOps(device), new CpuSamplingOps())
        {
            Measuring = new CpuMeasuringOps(device),
        };
    }

    private static DeviceBackend OpenCuda(DeviceOpening opening)
    {
        var number = opening.Name.AsSpan(DeviceKinds.Cuda.Length);
        var ordinal = number.Length > 1 && int.TryParse(number[1..], NumberStyles.None, CultureInfo.InvariantCulture, out var parsed)
            ? parsed
            : throw new PlanException($"{opening.Name} is no device: GPUs are named cuda:0, cuda:1 and so on.");
        var device = new CudaDevice(ordinal, opening.Poison);
        try
        {
            return new DeviceBackend(device, new CudaOps(device), OpenCudaSampling(device))
            {
                Measuring = new CudaMeasuringOps(device),
            };
        }
        catch
        {
            device.Dispose();
            throw;
        }
    }
}
