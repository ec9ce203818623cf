using System.Globalization;

namespace TensorParallel.Coordinator.Planning;

/// <summary>Bytes for people.</summary>
internal static class ByteText
{
    private static readonly string[] s_units = ["KiB", "MiB", "GiB", "TiB"];

    /// <summary>Three digits and a unit of 1024s: 16,060,522,496 is "15.0 GiB", 512 is "512 B".</summary>
    public static string Of(long bytes)
    {
        if (bytes < 1024)
        {
            return $"{bytes} B";
        }

        var value = bytes / 1024.0;
        var unit = 0;
        while (value >= 1023.95 && unit < s_units.Length - 1)
        {
            value /= 1024;
            unit++;
        }

        return $"{value.ToString(value < 100 ? "0.0" : "0", CultureInfo.InvariantCulture)} {s_units[unit]}";
    }
}
