using System.Globalization;

namespace TensorParallel.Coordinator.Comparison;

/// <summary>The lines of the comparison as text, the same for the terminal and for Markdown.</summary>
internal static class ComparisonRows
{
    private const string NotRun = "-";

    /// <summary>Headings of the columns.</summary>
    public static IReadOnlyList<string> Headings { get; } = ["", "tensor parallel", "device map", "ratio"];

    /// <summary>One row a figure. Ratios are above 1 where tensor parallelism is better.</summary>
    public static IReadOnlyList<IReadOnlyList<string>> Of(ComparisonReport report)
    {
        var (tensorParallel, deviceMap) = (report.TensorParallel, report.DeviceMap);
        return
        [
            Row("load (s)", tensorParallel?.LoadSeconds, deviceMap.LoadSeconds, "0.00", lowerIsBetter: true),
            Row("time to first token (ms)", tensorParallel?.TimeToFirstTokenMs, deviceMap.TimeToFirstTokenMs, "0.0", true),
            Row("decode (tokens/s)", tensorParallel?.DecodeTokensPerSecond, deviceMap.DecodeTokensPerSecond, "0.0", false),
            ["peak memory per worker (MB)", Memory(tensorParallel), Memory(deviceMap), NotRun],
            ["tokens agree", tensorParallel is null ? NotRun : Agreement(report), "", ""],
        ];
    }

    private static string[] Row(string name, double? left, double right, string format, bool lowerIsBetter)
    {
        var ratio = left is { } value && value > 0 && right > 0
            ? Text(lowerIsBetter ? right / value : value / right, "0.00") + "x"
            : NotRun;
        return [name, left is null ? NotRun : Text(left.Value, format), Text(right, format), ratio];
    }

    private static string Memory(ModeMeasurement? mode) => mode is null
        ? NotRun
        : string.Join(" / ", mode.PeakMemoryBytes.Select(bytes => Text(bytes / 1e6, "0")));

    private static string Agreement(ComparisonReport report)
    {
        if (report.TokensAgree)
        {
            return "yes";
        }

        var differing = report.Agreement.Where(prompt => !prompt.Agrees);
        return "no: " + string.Join(
            ", ", differing.Select(prompt => $"prompt {prompt.Prompt} from token {prompt.FirstDifference}"));
    }

    private static string Text(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);
}
