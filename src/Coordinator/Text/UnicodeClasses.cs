using System.Globalization;
using System.Text;

namespace TensorParallel.Coordinator.Text;

/// <summary>The character classes that tokenizer files mean by "space", "word" and "digit".</summary>
internal static class UnicodeClasses
{
    /// <summary>Unicode White_Space. (.NET's Char.IsWhiteSpace is the same set.)</summary>
    public static bool IsSpace(char c) => char.IsWhiteSpace(c);

    /// <summary>The three number categories: decimal digits, letter numbers (Ⅷ) and others (½).</summary>
    public static bool IsNumeric(Rune rune) => Rune.GetUnicodeCategory(rune) is UnicodeCategory.DecimalDigitNumber
        or UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber;

    /// <summary>What \w matches: letters, letter numbers, marks, decimal digits, connectors, the two joiners.</summary>
    public static bool IsWord(Rune rune) => Rune.GetUnicodeCategory(rune) switch
    {
        UnicodeCategory.UppercaseLetter or UnicodeCategory.LowercaseLetter or UnicodeCategory.TitlecaseLetter
            or UnicodeCategory.ModifierLetter or UnicodeCategory.OtherLetter or UnicodeCategory.LetterNumber
            or UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark or UnicodeCategory.EnclosingMark
            or UnicodeCategory.DecimalDigitNumber or UnicodeCategory.ConnectorPunctuation => true,
        // Circled letters are symbols by category but alphabetic by property.
        UnicodeCategory.OtherSymbol => rune.Value is (>= 0x24b6 and <= 0x24e9) or (>= 0x1f130 and <= 0x1f149)
            or (>= 0x1f150 and <= 0x1f169) or (>= 0x1f170 and <= 0x1f189),
        _ => rune.Value is 0x200c or 0x200d,
    };

    /// <summary>The text itself, or a copy in which each unpaired surrogate is U+FFFD.</summary>
    public static string WellFormed(string text)
    {
        if (!text.AsSpan().ContainsAnyInRange('\ud800', '\udfff'))
        {
            return text;
        }

        var builder = new StringBuilder(text.Length);
        foreach (var rune in text.EnumerateRunes())
        {
            builder.Append(rune);
        }

        return builder.ToString();
    }
}
