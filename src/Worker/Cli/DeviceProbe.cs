using System.Globalization;
using System.Runtime.Intrinsics;
using TensorParallel.Protocol.Wire;
using TensorParallel.Worker.Native;

namespace TensorParallel.Worker.Cli;

/// <summary>Finds the devices of this machine; opens none of them.</summary>
internal static class DeviceProbe
{
    /// <summary>Processors and GPUs.</summary>
    public static DeviceInventory Inventory()
    {
        var gpus = CudaProbe.Gpus(out var unavailable);
        return new DeviceInventory(Cpu(), gpus, unavailable)
        {
            GpuComputeProblem = gpus.Count > 0 ? Nvrtc.UnavailableReason : null,
            GpuGroupProblem = gpus.Count > 1 ? Nccl.UnavailableReason : null,
        };
    }

    private static CpuInventory Cpu()
    {
        var total = Math.Min(Kilobytes("MemTotal") * 1024, GC.GetGCMemoryInfo().TotalAvailableMemoryBytes);
        return new CpuInventory(
            Name(),
            Environment.ProcessorCount,
            Vector512.IsHardwareAccelerated ? 512 : Vector256.IsHardwareAccelerated ? 256 : 128,
            total,
            Math.Min(Kilobytes("MemAvailable") * 1024, total),
            NumaNodes());
    }

    private static string Name() =>
        File.ReadLines("/proc/cpuinfo")
            .Where(line => line.StartsWith("model name", StringComparison.Ordinal))
            .Select(line => line[(line.IndexOf(':') + 1)..].Trim())
            .FirstOrDefault("unknown");

    private static long Kilobytes(string field)
    {
        // "MemAvailable:   12345678 kB"
        var line = File.ReadLines("/proc/meminfo")
            .First(line => line.StartsWith(field + ":", StringComparison.Ordinal));
        return long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture);
    }

    private static int NumaNodes()
    {
        const string Folder = "/sys/devices/system/node";
        return Directory.Exists(Folder)
            ? Math.Max(1, Directory.GetDirectories(Folder, "node*").Count(path => char.IsAsciiDigit(path[^1])))
            : 1;
    }
}
