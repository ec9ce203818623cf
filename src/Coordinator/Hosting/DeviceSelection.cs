using TensorParallel.Coordinator.Launching;
using TensorParallel.Coordinator.Planning;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Hosting;

/// <summary>Which devices a run uses: one worker each.</summary>
internal static class DeviceSelection
{
    private const int DefaultCpuWorkers = 2;
    private const int MostCpuWorkers = 64;

    /// <summary>
    /// <c>--cpu-workers N</c>: N CPU workers. <c>--gpus LIST</c>: those GPUs, which a plan alone takes at their word
    /// and a run looks for. Neither: all GPUs there are, else 2 CPU workers.
    /// </summary>
    /// <exception cref="PlanException">
    /// A device that is not there, is named twice, or that this build has no backend for.
    /// </exception>
    public static async Task<IReadOnlyList<PlanDevice>> SelectAsync(
        ModelArguments arguments, PreparationScope scope, CancellationToken cancellationToken)
    {
        if (arguments.CpuWorkers is { } workers)
        {
            return workers <= MostCpuWorkers
                ? PlanDevice.Cpus(workers)
                : throw new PlanException($"--cpu-workers is {workers}: at most {MostCpuWorkers} are supported.");
        }

        if (scope == PreparationScope.PlanOnly && arguments.Gpus is { } planned)
        {
            return [.. planned.Select(index => new PlanDevice($"{DeviceKinds.Cuda}:{index}"))];
        }

        // Probing costs the start of a process (0.2 s); without --gpus nothing can come of it until a CUDA backend is
        // built in.
        return arguments.Gpus is { } gpus
            ? throw new PlanException(await GpuRefusalAsync(gpus, cancellationToken))
            : PlanDevice.Cpus(DefaultCpuWorkers);
    }

    private static async Task<string> GpuRefusalAsync(IReadOnlyList<int> gpus, CancellationToken cancellationToken)
    {
        var inventory = await new DeviceProbe(WorkerProgram.Find(
            AppContext.BaseDirectory, Environment.GetEnvironmentVariable(WorkerProgram.OverrideVariable))).RunAsync(cancellationToken);
        var missing = gpus.Where(index => inventory.Gpus.All(gpu => gpu.Index != index)).ToList();
        return missing.Count > 0
            ? $"GPU {string.Join(", ", missing)} is not there ({inventory.GpuUnavailableReason ?? $"the machine has {inventory.Gpus.Count}"}): "
              + "use --cpu-workers N."
            : "This build has no CUDA backend yet, so --gpus cannot be honoured: use --cpu-workers N.";
    }
}
