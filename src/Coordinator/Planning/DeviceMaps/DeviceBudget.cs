using System.Globalization;

namespace TensorParallel.Coordinator.Planning.DeviceMaps;

/// <summary>A place for weights, and how many bytes of them it takes.</summary>
/// <param name="Device">A device's number, <see cref="Cpu"/> or <see cref="Disk"/>: the words of a device map.</param>
/// <param name="Bytes">Null: not known, so nothing is checked against it.</param>
internal sealed record DeviceBudget(string Device, long? Bytes)
{
    /// <summary>Host memory.</summary>
    public const string Cpu = "cpu";

    /// <summary>Files.</summary>
    public const string Disk = "disk";

    /// <summary>Whether it computes: neither host memory nor disk.</summary>
    public bool IsDevice => IsNumber(Device);

    /// <summary>Whether a word of a device map is a device's number.</summary>
    public static bool IsNumber(string device) => device.Length > 0 && device.All(char.IsAsciiDigit);

    /// <summary>Accelerate's order: devices by number, then host memory, then disk.</summary>
    public static IReadOnlyList<DeviceBudget> InOrder(IEnumerable<DeviceBudget> budgets) => [.. budgets.OrderBy(
        budget => budget.Device switch
        {
            Cpu => int.MaxValue - 1L,
            Disk => int.MaxValue,
            var number => int.Parse(number, CultureInfo.InvariantCulture),
        })];
}
