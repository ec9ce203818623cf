using System.Globalization;

namespace TensorParallel.Coordinator.Cli;

/// <summary>Lists of integers on the command line: <c>0,1,2</c>.</summary>
internal static class IntegerList
{
    /// <summary>Reads a comma-separated list of integers of at least 0.</summary>
    /// <param name="option">Name of the option, for the message.</param>
    /// <param name="text">What was given.</param>
    /// <exception cref="UsageException">An entry is not such a number, or there is none.</exception>
    public static IReadOnlyList<int> Parse(string option, string text)
    {
        var numbers = new List<int>();
        foreach (var part in text.Split(',', StringSplitOptions.TrimEntries))
        {
            if (!int.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out var number))
            {
                throw new UsageException($"{option} has the entry \"{part}\": give numbers of at least 0, for example 5,6,7.");
            }

            numbers.Add(number);
        }

        return numbers;
    }
}
