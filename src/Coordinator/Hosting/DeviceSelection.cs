using System.Globalization;
using TensorParallel.Coordinator.Launching;
using TensorParallel.Coordinator.Planning;
using TensorParallel.Protocol.Parallel;
using TensorParallel.Protocol.Wire;

namespace TensorParallel.Coordinator.Hosting;

/// <summary>Which devices a run uses: one worker each.</summary>
internal static class DeviceSelection
{
    private const int DefaultCpuWorkers = 2;
    private const int MostCpuWorkers = 64;

    // The NVIDIA kernel driver makes it. Without it no GPU can be used, and the probe, a process start of 0.2 s, is spared.
    private const string DriverFile = "/dev/nvidiactl";

    private static readonly Version s_leastCapability = new(8, 0);

    /// <summary>
    /// <c>--cpu-workers N</c>: N CPU workers. <c>--gpus LIST</c>: those GPUs, which a plan alone takes at their word and a run
    /// looks for. Neither: all GPUs that can be used, else 2 CPU workers. Memory is known of GPUs that were looked for.
    /// <c>--max-memory</c> names the devices itself; a run still looks for the GPUs among them.
    /// </summary>
    /// <exception cref="PlanException">A device that is not there, is named twice, or cannot be used.</exception>
    /// <exception cref="WorkerLaunchException">The worker program, which looks for GPUs, cannot be run.</exception>
    public static async Task<IReadOnlyList<PlanDevice>> SelectAsync(
        ModelArguments arguments, PreparationScope scope, CancellationToken cancellationToken)
    {
        var devices = arguments.MaxMemory is null
            ? await ExistingAsync(arguments, scope, cancellationToken)
            : NamedDevices.Of(arguments, scope, HasGpus(scope) ? await ProbeAsync(cancellationToken) : null);
        var speeds = arguments.DeviceSpeeds.ToDictionary();
        var unknown = speeds.Keys.Except(devices.Select(device => device.Number)).ToList();
        return unknown.Count == 0
            ? [.. devices.Select(device => device with { Speed = speeds.GetValueOrDefault(device.Number, 1) })]
            : throw new PlanException($"--device-speed names device {string.Join(", ", unknown)}, which is not there.");

        bool HasGpus(PreparationScope scope) =>
            scope == PreparationScope.Run && arguments.CpuWorkers is null && (arguments.Gpus is not null || File.Exists(DriverFile));
    }

    private static async Task<IReadOnlyList<PlanDevice>> ExistingAsync(
        ModelArguments arguments, PreparationScope scope, CancellationToken cancellationToken)
    {
        if (arguments.CpuWorkers is { } workers)
        {
            return workers <= MostCpuWorkers
                ? PlanDevice.Cpus(workers)
                : throw new PlanException($"--cpu-workers is {workers}: at most {MostCpuWorkers} are supported.");
        }

        if (arguments.Gpus is { } gpus)
        {
            return scope == PreparationScope.PlanOnly
                ? [.. gpus.Select(index => new PlanDevice($"{DeviceKinds.Cuda}:{index}"))]
                : Requested(gpus, await ProbeAsync(cancellationToken));
        }

        return File.Exists(DriverFile) ? AllOf(await ProbeAsync(cancellationToken)) : PlanDevice.Cpus(DefaultCpuWorkers);
    }

    /// <summary>The GPUs asked for, in the order asked.</summary>
    /// <exception cref="PlanException">One is not there or cannot be used.</exception>
    internal static IReadOnlyList<PlanDevice> Requested(IReadOnlyList<int> indices, DeviceInventory inventory)
    {
        var missing = indices.Where(index => inventory.Gpus.All(gpu => gpu.Index != index)).ToList();
        if (missing.Count > 0)
        {
            throw new PlanException(
                $"GPU {string.Join(", ", missing)} is not there "
                + $"({inventory.GpuUnavailableReason ?? $"the machine has {inventory.Gpus.Count}"}): use --cpu-workers N.");
        }

        var gpus = indices.Select(index => inventory.Gpus.First(gpu => gpu.Index == index)).ToList();
        return gpus.Find(gpu => !IsUsable(gpu)) is { } old
            ? throw new PlanException(
                $"GPU {old.Index} ({old.Name}) has compute capability {old.ComputeCapability}, but {s_leastCapability} is "
                + "needed: use --cpu-workers N.")
            : [.. gpus.Select(Device)];
    }

    /// <summary>All GPUs that can be used, else the CPU workers of a machine without any.</summary>
    internal static IReadOnlyList<PlanDevice> AllOf(DeviceInventory inventory)
    {
        var usable = inventory.Gpus.Where(IsUsable).Select(Device).ToList();
        return usable.Count > 0 ? usable : PlanDevice.Cpus(DefaultCpuWorkers);
    }

    private static PlanDevice Device(GpuInventory gpu) =>
        new(string.Create(CultureInfo.InvariantCulture, $"{DeviceKinds.Cuda}:{gpu.Index}"), gpu.MemoryTotalBytes);

    private static bool IsUsable(GpuInventory gpu) =>
        Version.TryParse(gpu.ComputeCapability, out var capability) && capability >= s_leastCapability;

    private static Task<DeviceInventory> ProbeAsync(CancellationToken cancellationToken) => new DeviceProbe(WorkerProgram.Find(
        AppContext.BaseDirectory, Environment.GetEnvironmentVariable(WorkerProgram.OverrideVariable))).RunAsync(cancellationToken);
}
