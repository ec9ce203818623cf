using System.Globalization;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Planning.DeviceMaps;

/// <summary>Reads <c>--max-memory 0=10GiB,1=20GiB,cpu=64GiB</c>.</summary>
internal static class MaxMemory
{
    private const string Form = "--max-memory is a list such as 0=10GiB,1=20GiB,cpu=64GiB";

    // Longest first: "GiB" ends in "B".
    private static readonly (string Unit, double Bytes)[] s_units =
    [
        ("KiB", 1L << 10), ("MiB", 1L << 20), ("GiB", 1L << 30), ("TiB", 1L << 40),
        ("KB", 1e3), ("MB", 1e6), ("GB", 1e9), ("TB", 1e12),
        ("B", 1),
    ];

    /// <summary>The budgets in accelerate's order; exactly these places exist.</summary>
    /// <exception cref="PlanException">Everything in it that cannot be read, is unknown or is given twice.</exception>
    public static IReadOnlyList<DeviceBudget> Parse(string text)
    {
        var problems = new List<string>();
        var budgets = new Dictionary<string, DeviceBudget>();
        foreach (var entry in text.Split(',', StringSplitOptions.TrimEntries))
        {
            var (device, size) = entry.Split('=', 2, StringSplitOptions.TrimEntries) is [var left, var right]
                ? (left, right)
                : (entry, "");
            if (ProblemOf(entry, device, size, out var bytes) is { } problem)
            {
                problems.Add(problem);
            }
            else if (!budgets.TryAdd(Canonical(device), new DeviceBudget(Canonical(device), bytes)))
            {
                problems.Add($"{Form}: it names {device} twice.");
            }
        }

        return problems.Count == 0 ? DeviceBudget.InOrder(budgets.Values) : throw new PlanException(problems);
    }

    private static string? ProblemOf(string entry, string device, string size, out long bytes)
    {
        bytes = 0;
        if (size.Length == 0)
        {
            return $"{Form}: {Quote.Of(entry)} is not DEVICE=SIZE.";
        }

        if (device is not (DeviceBudget.Cpu or DeviceBudget.Disk)
            && !(DeviceBudget.IsNumber(device) && int.TryParse(device, CultureInfo.InvariantCulture, out _)))
        {
            return $"{Form}: {Quote.Of(device)} is no device; devices are numbers, cpu and disk.";
        }

        return TryReadSize(size, out bytes)
            ? null
            : $"{Form}: {Quote.Of(size)} is no size; write a number and KiB, MiB, GiB, TiB (1024s) or KB, MB, GB, " +
                "TB (1000s).";
    }

    // 1.5GiB is 1610612736. "Gb" is refused: to accelerate it means bits, to most people bytes.
    private static bool TryReadSize(string text, out long bytes)
    {
        bytes = 0;
        var (unit, scale) = s_units.FirstOrDefault(unit => text.EndsWith(unit.Unit, StringComparison.Ordinal), ("", 1));
        const NumberStyles Style = NumberStyles.AllowDecimalPoint;
        var digits = text.AsSpan(0, text.Length - unit.Length).TrimEnd();
        if (!double.TryParse(digits, Style, CultureInfo.InvariantCulture, out var number)
            || number * scale > long.MaxValue / 2)
        {
            return false;
        }

        bytes = (long)(number * scale);
        return true;
    }

    // 01 is 1.
    private static string Canonical(string device) => DeviceBudget.IsNumber(device)
        ? int.Parse(device, CultureInfo.InvariantCulture).ToString(CultureInfo.InvariantCulture)
        : device;
}
