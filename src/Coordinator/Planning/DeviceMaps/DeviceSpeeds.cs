using System.Globalization;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Planning.DeviceMaps;

/// <summary>Reads <c>--device-speed 0=3350,1=1000</c>.</summary>
internal static class DeviceSpeeds
{
    /// <summary>Speeds by device number.</summary>
    /// <exception cref="PlanException">An entry that cannot be read, or a device named twice.</exception>
    public static IReadOnlyList<KeyValuePair<string, double>> Parse(string text)
    {
        var speeds = text.Split(',', StringSplitOptions.TrimEntries).Select(Entry).ToList();
        return speeds.GroupBy(speed => speed.Key).FirstOrDefault(device => device.Count() > 1) is { } twice
            ? throw new PlanException($"--device-speed names {twice.Key} twice.")
            : speeds;
    }

    private static KeyValuePair<string, double> Entry(string entry) =>
        entry.Split('=', StringSplitOptions.TrimEntries) is [var device, var speed]
        && DeviceBudget.IsNumber(device)
        && double.TryParse(speed, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var value)
        && value > 0
            ? new(device, value)
            : throw new PlanException(
                $"--device-speed is a list such as 0=3350,1=1000: {Quote.Of(entry)} is not NUMBER=SPEED, with a " +
                "speed above 0.");
}
