using System.Globalization;
using System.Text;

namespace TensorParallel.Coordinator.Comparison;

/// <summary>The comparison as a Markdown page.</summary>
internal static class ComparisonMarkdown
{
    /// <summary>Heading, circumstances, table.</summary>
    /// <param name="report">The figures.</param>
    /// <param name="commandLine">The command that made them: no figure without it.</param>
    public static string Of(ComparisonReport report, string commandLine)
    {
        var text = new StringBuilder();
        text.AppendLine(CultureInfo.InvariantCulture, $"# {report.Model}: tensor parallel against sequential device map").AppendLine();
        text.AppendLine(CultureInfo.InvariantCulture,
            $"{report.DType} on {string.Join(", ", report.Devices)}; {report.Prompts} prompts, {report.MaxNewTokens} new tokens each, "
            + $"medians of {report.Repetitions} runs.").AppendLine();
        text.AppendLine(CultureInfo.InvariantCulture, $"    {commandLine}").AppendLine();
        foreach (var reason in report.FallbackReasons)
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"Tensor parallelism is not possible: {reason}").AppendLine();
        }

        AppendRow(text, ComparisonRows.Headings);
        AppendRow(text, [.. ComparisonRows.Headings.Select((_, column) => column == 0 ? "---" : "---:")]);
        foreach (var row in ComparisonRows.Of(report))
        {
            AppendRow(text, row);
        }

        return text.ToString();
    }

    private static void AppendRow(StringBuilder text, IReadOnlyList<string> cells) =>
        text.AppendLine(CultureInfo.InvariantCulture, $"| {string.Join(" | ", cells)} |");
}
