using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using System.Numerics;

namespace TensorParallel.Coordinator.Cli;

/// <summary>
/// Numbers and levels on the command line. The library's own reading takes a comma for a thousands separator, so that a temperature of
/// "0,5" would become 5, and names .NET types in its messages.
/// </summary>
internal static class NumberArgument
{
    /// <summary>The number; null, with an error in the result, when it is none.</summary>
    public static T? ReadOptional<T>(ArgumentResult result) where T : struct, INumber<T>
    {
        // Neither blanks nor separators: 0.5, -1, 1e-3, NaN (the option's own check judges the value).
        const NumberStyles Style =
            NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint | NumberStyles.AllowExponent;
        var (text, isWhole) = (result.Tokens[0].Value, T.CreateTruncating(0.5) == T.Zero);
        if (T.TryParse(text, isWhole ? NumberStyles.AllowLeadingSign : Style, CultureInfo.InvariantCulture, out var number))
        {
            return number;
        }

        AddError(result, isWhole ? "a whole number" + Range<T>() : "a number, for example 0.5");
        return null;
    }

    /// <summary>The number; 0, with an error in the result, when it is none.</summary>
    public static T Read<T>(ArgumentResult result) where T : struct, INumber<T> => ReadOptional<T>(result) ?? T.Zero;

    /// <summary>The level; null, with an error in the result, when there is none of that name.</summary>
    public static LogLevel? ReadLevel(ArgumentResult result)
    {
        var names = Enum.GetNames<LogLevel>();
        if (names.Contains(result.Tokens[0].Value, StringComparer.OrdinalIgnoreCase))
        {
            return Enum.Parse<LogLevel>(result.Tokens[0].Value, ignoreCase: true);
        }

        AddError(result, $"one of {string.Join(", ", names)}");
        return null;
    }

    /// <summary>The number that an option was given; null: it was not.</summary>
    /// <exception cref="UsageException">It is less than 1 or more than <paramref name="most"/>.</exception>
    public static int? Positive(ParseResult result, Option<int?> option, int most = int.MaxValue) => result.GetValue(option) switch
    {
        < 1 and var value => throw new UsageException($"{option.Name} is {value}: give a number of at least 1."),
        var value when value > most => throw new UsageException($"{option.Name} is {value}: give a number of at most {most}."),
        var value => value,
    };

    private static string Range<T>() where T : struct, INumber<T> =>
        typeof(T) == typeof(ulong) ? $" from 0 to {ulong.MaxValue}" : $" of at most {int.MaxValue}";

    private static void AddError(ArgumentResult result, string wanted)
    {
        var name = result.Parent is OptionResult { IdentifierToken.Value: var given } ? given : result.Argument.Name;
        result.AddError($"{name} is \"{result.Tokens[0].Value}\": give {wanted}.");
    }
}
