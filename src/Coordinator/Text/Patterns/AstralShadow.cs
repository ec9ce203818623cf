using System.Globalization;
using System.Text;

namespace TensorParallel.Coordinator.Text.Patterns;

/// <summary>
/// A text in which every code point is one UTF-16 unit: those beyond U+FFFF are replaced by a stand-in of the same
/// general category, because .NET's regular expressions see surrogates, which are in no useful class. "a𝒳b" becomes
/// "aŊb" ('𝒳' is an upper-case letter, so \p{L} matches it again), and Origin(2) is 3.
/// </summary>
internal readonly ref struct AstralShadow
{
    private readonly int[] _origins;
    private readonly char[] _text;
    private readonly int _length;

    /// <param name="text">Well-formed UTF-16.</param>
    public AstralShadow(ReadOnlySpan<char> text)
    {
        _origins = new int[text.Length + 1];
        _text = new char[text.Length];
        var origin = 0;
        foreach (var rune in text.EnumerateRunes())
        {
            _origins[_length] = origin;
            _text[_length++] = rune.IsBmp ? (char)rune.Value : StandIn(Rune.GetUnicodeCategory(rune));
            origin += rune.Utf16SequenceLength;
        }

        _origins[_length] = origin;
    }

    public ReadOnlySpan<char> Text => _text.AsSpan(0, _length);

    /// <summary>The index in the original text of an index in the shadow; the end maps to the end.</summary>
    public int Origin(int at) => _origins[at];

    // Characters that no tokenizer's expression is likely to name literally.
    private static char StandIn(UnicodeCategory category) => category switch
    {
        UnicodeCategory.UppercaseLetter => '\u014a',
        UnicodeCategory.LowercaseLetter => '\u014b',
        UnicodeCategory.TitlecaseLetter => '\u01c5',
        UnicodeCategory.ModifierLetter => '\u02b0',
        UnicodeCategory.OtherLetter => '\u05d0',
        UnicodeCategory.NonSpacingMark => '\u0316',
        UnicodeCategory.SpacingCombiningMark => '\u0903',
        UnicodeCategory.EnclosingMark => '\u0489',
        UnicodeCategory.DecimalDigitNumber => '\u0660',
        UnicodeCategory.LetterNumber => '\u2160',
        UnicodeCategory.OtherNumber => '\u00b2',
        UnicodeCategory.ConnectorPunctuation => '\u203f',
        UnicodeCategory.DashPunctuation => '\u2013',
        UnicodeCategory.OpenPunctuation => '\u2045',
        UnicodeCategory.ClosePunctuation => '\u2046',
        UnicodeCategory.InitialQuotePunctuation => '\u00ab',
        UnicodeCategory.FinalQuotePunctuation => '\u00bb',
        UnicodeCategory.OtherPunctuation => '\u2021',
        UnicodeCategory.MathSymbol => '\u2200',
        UnicodeCategory.CurrencySymbol => '\u20a4',
        UnicodeCategory.ModifierSymbol => '\u02c2',
        UnicodeCategory.OtherSymbol => '\u00a9',
        UnicodeCategory.Format => '\u00ad',
        UnicodeCategory.PrivateUse => '\ue000',
        _ => '\u0378', // not assigned: no other category occurs beyond U+FFFF
    };
}
