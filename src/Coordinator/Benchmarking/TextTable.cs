using System.Text;

namespace TensorParallel.Coordinator.Benchmarking;

/// <summary>A table of plain text: the first column to the left, figures to the right, two blanks between.</summary>
internal static class TextTable
{
    /// <summary>The lines of the table, headings first.</summary>
    /// <param name="headings">Headings of the columns.</param>
    /// <param name="rows">Rows with as many cells.</param>
    public static IReadOnlyList<string> Of(IReadOnlyList<string> headings, IReadOnlyList<IReadOnlyList<string>> rows)
    {
        IReadOnlyList<string>[] all = [headings, .. rows];
        var widths = headings.Select((_, column) => all.Max(row => row[column].Length)).ToArray();
        return [.. all.Select(row => Line(row, widths))];
    }

    private static string Line(IReadOnlyList<string> row, int[] widths)
    {
        var line = new StringBuilder();
        for (var column = 0; column < row.Count; column++)
        {
            line.Append(column == 0 ? row[0].PadRight(widths[0]) : row[column].PadLeft(widths[column] + 2));
        }

        return line.ToString().TrimEnd();
    }
}
