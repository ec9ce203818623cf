using TensorParallel.Coordinator.Planning;
using TensorParallel.Coordinator.Planning.DeviceMaps;
using TensorParallel.Protocol.Parallel;
using TensorParallel.Protocol.Wire;

namespace TensorParallel.Coordinator.Hosting;

/// <summary>The devices that <c>--max-memory</c> names, with their budgets.</summary>
internal static class NamedDevices
{
    /// <summary>
    /// With <c>--cpu-workers</c> the numbers are those of the workers, with <c>--gpus</c> or neither those of GPUs;
    /// a run on a machine without GPUs takes them as CPU workers.
    /// </summary>
    /// <param name="arguments">With MaxMemory given.</param>
    /// <param name="scope">A plan alone takes GPUs at their word.</param>
    /// <param name="inventory">What there is; null where GPUs were not looked for.</param>
    /// <exception cref="PlanException">
    /// The options contradict each other, or a device is not there or smaller.
    /// </exception>
    public static IReadOnlyList<PlanDevice> Of(
        ModelArguments arguments, PreparationScope scope, DeviceInventory? inventory)
    {
        var budgets = arguments.MaxMemory!.Where(budget => budget.IsDevice).ToDictionary(budget => budget.Device);
        if (arguments.CpuWorkers is { } workers)
        {
            return Budgeted(Workers(budgets, workers), budgets);
        }

        if (arguments.Gpus is { } gpus && !gpus.Select(gpu => $"{gpu}").ToHashSet().SetEquals(budgets.Keys))
        {
            throw new PlanException(
                $"--gpus names {string.Join(", ", gpus)}, but --max-memory {Names(budgets)}; give each GPU its " +
                "budget, or leave out " +
                "--gpus.");
        }

        var numbers = arguments.Gpus ?? [.. budgets.Keys.Select(int.Parse)];
        if (inventory is not null)
        {
            CheckSizes(budgets, inventory);
            return Budgeted(DeviceSelection.Requested(numbers, inventory), budgets);
        }

        return Budgeted(
            scope == PreparationScope.PlanOnly
                ? [.. numbers.Select(number => new PlanDevice($"{DeviceKinds.Cuda}:{number}"))]
                : Workers(budgets, budgets.Count),
            budgets);
    }

    private static IReadOnlyList<PlanDevice> Workers(Dictionary<string, DeviceBudget> budgets, int workers)
    {
        var devices = PlanDevice.Cpus(workers);
        return devices.Select(device => device.Number).ToHashSet().SetEquals(budgets.Keys)
            ? devices
            : throw new PlanException(
                $"--max-memory names {Names(budgets)}, but {workers} CPU workers are numbered from 0 to " +
                $"{workers - 1}; give each its " +
                "budget.");
    }

    private static void CheckSizes(Dictionary<string, DeviceBudget> budgets, DeviceInventory inventory)
    {
        var problems = inventory.Gpus
            .Where(gpu => budgets.TryGetValue($"{gpu.Index}", out var budget) && budget.Bytes > Free(gpu))
            .Select(gpu =>
                $"--max-memory allows {ByteText.Of(budgets[$"{gpu.Index}"].Bytes!.Value)} on GPU {gpu.Index} " +
                $"({gpu.Name}), of whose {ByteText.Of(gpu.MemoryTotalBytes)} {ByteText.Of(Free(gpu))} are free.")
            .ToList();
        if (problems.Count > 0)
        {
            throw new PlanException(problems);
        }
    }

    private static long Free(GpuInventory gpu) => gpu.MemoryFreeBytes ?? gpu.MemoryTotalBytes;

    private static IReadOnlyList<PlanDevice> Budgeted(
        IReadOnlyList<PlanDevice> devices, Dictionary<string, DeviceBudget> budgets) => [.. devices.Select(device =>
            device with { MemoryBytes = budgets[device.Number].Bytes, IsExactBudget = true })];

    private static string Names(Dictionary<string, DeviceBudget> budgets) =>
        budgets.Count == 0 ? "no device" : string.Join(", ", budgets.Keys);
}
