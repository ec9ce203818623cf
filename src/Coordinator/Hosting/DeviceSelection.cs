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

    // The NVIDIA kernel driver makes it. Without it no GPU can be used, and the probe, a process start of 0.2 s, is spared; but a
    // driver library in a folder that the user named is one to ask.
    private const string DriverFile = "/dev/nvidiactl";
    private const string NativePathVariable = "TP_NATIVE_PATH";
    private const string DriverLibrary = "libcuda.so.1";

    private static readonly Version s_leastCapability = new(8, 0);

    /// <summary>
    /// <c>--cpu-workers N</c>: N CPU workers. <c>--gpus LIST</c>: those GPUs, which a plan alone takes at their word and a run
    /// looks for. Neither: all GPUs that can be used, else 2 CPU workers. Memory is known of GPUs that were looked for: what
    /// is free. <c>--max-memory</c> names the devices itself; a run still looks for the GPUs among them.
    /// </summary>
    /// <exception cref="PlanException">A device that is not there, is named twice, or cannot be used.</exception>
    /// <exception cref="WorkerLaunchException">The worker program, which looks for GPUs, cannot be run.</exception>
    public static async Task<DeviceChoice> SelectAsync(
        ModelArguments arguments, PreparationScope scope, CancellationToken cancellationToken)
    {
        var mayProbe = scope == PreparationScope.Run && arguments.CpuWorkers is null && (arguments.Gpus is not null || HasDriver());
        var choice = arguments.MaxMemory is null
            ? await ExistingAsync(arguments, scope, cancellationToken)
            : new DeviceChoice(NamedDevices.Of(arguments, scope, mayProbe ? await ProbeAsync(cancellationToken) : null));
        var speeds = arguments.DeviceSpeeds.ToDictionary();
        var unknown = speeds.Keys.Except(choice.Devices.Select(device => device.Number)).ToList();
        return unknown.Count == 0
            ? choice with
            {
                Devices = [.. choice.Devices.Select(
                    device => device with { Speed = speeds.GetValueOrDefault(device.Number, 1) })],
            }
            : throw new PlanException($"--device-speed names device {string.Join(", ", unknown)}, which is not there.");
    }

    private static async Task<DeviceChoice> ExistingAsync(
        ModelArguments arguments, PreparationScope scope, CancellationToken cancellationToken)
    {
        if (arguments.CpuWorkers is { } workers)
        {
            return workers <= MostCpuWorkers
                ? new DeviceChoice(PlanDevice.Cpus(workers))
                : throw new PlanException($"--cpu-workers is {workers}: at most {MostCpuWorkers} are supported.");
        }

        if (arguments.Gpus is { } gpus)
        {
            CheckTwice(gpus);
            return new DeviceChoice(scope == PreparationScope.PlanOnly
                ? [.. gpus.Select(index => new PlanDevice($"{DeviceKinds.Cuda}:{index}"))]
                : Requested(gpus, await ProbeAsync(cancellationToken)));
        }

        return HasDriver() ? AllOf(await ProbeAsync(cancellationToken)) : new DeviceChoice(PlanDevice.Cpus(DefaultCpuWorkers));
    }

    /// <summary>The GPUs asked for, in the order asked.</summary>
    /// <exception cref="PlanException">One is not there or cannot be used.</exception>
    internal static IReadOnlyList<PlanDevice> Requested(IReadOnlyList<int> indices, DeviceInventory inventory)
    {
        CheckTwice(indices);
        var missing = indices.Where(index => inventory.Gpus.All(gpu => gpu.Index != index)).ToList();
        if (missing.Count > 0)
        {
            throw new PlanException(
                $"GPU {string.Join(", ", missing)} {(missing.Count == 1 ? "is" : "are")} not there: "
                + (inventory.GpuUnavailableReason is { } reason
                    ? $"{reason} Or use --cpu-workers N."
                    : $"this machine has {string.Join(", ", inventory.Gpus.Select(Text))}; give --gpus with those, or --cpu-workers N."));
        }

        var gpus = indices.Select(index => inventory.Gpus.First(gpu => gpu.Index == index)).ToList();
        if (gpus.Find(gpu => !IsUsable(gpu)) is { } old)
        {
            throw new PlanException(
                $"{Text(old)} has compute capability {old.ComputeCapability}, but {s_leastCapability} is needed: use --cpu-workers N.");
        }

        return inventory.GpuComputeProblem is { } compute
            ? throw new PlanException($"GPUs cannot be used: {compute} Or use --cpu-workers N.")
            : inventory.GpuGroupProblem is { } group && gpus.Count > 1
            ? throw new PlanException($"{gpus.Count} GPUs cannot work together: {group} Or give one GPU.")
            : [.. gpus.Select(Device)];
    }

    /// <summary>All GPUs that can be used, else the CPU workers of a machine without any; says why GPUs are left out.</summary>
    internal static DeviceChoice AllOf(DeviceInventory inventory)
    {
        var usable = inventory.Gpus.Where(IsUsable).ToList();
        var problem = inventory.GpuUnavailableReason
            ?? inventory.GpuComputeProblem
            ?? (usable.Count == 0
                ? $"{string.Join(", ", inventory.Gpus.Select(Text))}: compute capability {s_leastCapability} is needed."
                : null);
        if (problem is not null)
        {
            return new DeviceChoice(
                PlanDevice.Cpus(DefaultCpuWorkers), [$"No GPU is used, the model runs on {DefaultCpuWorkers} CPU workers: {problem}"]);
        }

        return inventory.GpuGroupProblem is { } group && usable.Count > 1
            ? new DeviceChoice([Device(usable[0])], [$"Only {Text(usable[0])} of {usable.Count} is used: {group}"])
            : new DeviceChoice([.. usable.Select(Device)]);
    }

    private static void CheckTwice(IReadOnlyList<int> indices)
    {
        if (indices.GroupBy(index => index).FirstOrDefault(group => group.Count() > 1) is { } twice)
        {
            throw new PlanException($"--gpus names GPU {twice.Key} {twice.Count()} times: each worker needs a GPU of its own.");
        }
    }

    private static PlanDevice Device(GpuInventory gpu) => new(
        string.Create(CultureInfo.InvariantCulture, $"{DeviceKinds.Cuda}:{gpu.Index}"),
        gpu.MemoryFreeBytes ?? gpu.MemoryTotalBytes,
        gpu.MemoryFreeBytes is null ? null : gpu.MemoryTotalBytes)
    {
        FreeBytes = gpu.MemoryFreeBytes,
    };

    private static string Text(GpuInventory gpu) => $"GPU {gpu.Index} ({gpu.Name})";

    private static bool IsUsable(GpuInventory gpu) =>
        Version.TryParse(gpu.ComputeCapability, out var capability) && capability >= s_leastCapability;

    private static bool HasDriver() => File.Exists(DriverFile)
        || (Environment.GetEnvironmentVariable(NativePathVariable) ?? string.Empty)
            .Split(':', StringSplitOptions.RemoveEmptyEntries)
            .Any(folder => File.Exists(Path.Combine(folder, DriverLibrary)));

    private static Task<DeviceInventory> ProbeAsync(CancellationToken cancellationToken) => new DeviceProbe(WorkerProgram.Find(
        AppContext.BaseDirectory, Environment.GetEnvironmentVariable(WorkerProgram.OverrideVariable))).RunAsync(cancellationToken);
}
