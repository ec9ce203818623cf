using System.Globalization;

namespace TensorParallel.Benchmarks.Gpu;

/// <summary>Microseconds of the quickest, the middle and the slowest of several replays.</summary>
internal readonly record struct Spread(double Least, double Median, double Most)
{
    /// <summary>For example <c>2.10/2.17/2.80</c>.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Least:F2}/{Median:F2}/{Most:F2}");
}
