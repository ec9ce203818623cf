using System.Text;

namespace TensorParallel.Coordinator.Text.Normalizers;

/// <summary>One of the four Unicode normalization forms, by ICU.</summary>
internal sealed class UnicodeNormalizer : INormalizer
{
    private readonly NormalizationForm _form;

    /// <exception cref="TokenizerException">.NET runs without ICU.</exception>
    public UnicodeNormalizer(NormalizationForm form, TokenizerJson json)
    {
        RequireUnicode(text => text.Normalize(NormalizationForm.FormC), json);
        _form = form;
    }

    public string Normalize(string text)
    {
        if (!text.Contains('\ufffe'))
        {
            return text.Normalize(_form);
        }

        // string.Normalize refuses the noncharacter U+FFFE, which neither composes nor decomposes.
        return string.Join('\ufffe', text.Split('\ufffe').Select(part => part.Normalize(_form)));
    }

    /// <summary>
    /// Without ICU (invariant globalization) .NET hands text back unchanged instead of failing, and every accented
    /// letter would silently become other tokens than the model was trained on. So: e + U+0301 must become é.
    /// </summary>
    public static void RequireUnicode(Func<string, string> compose, TokenizerJson json)
    {
        if (compose("e\u0301") != "\u00e9")
        {
            throw json.Wrong(
                "asks for Unicode normalization, which .NET does only with ICU: install libicu and unset " +
                "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT");
        }
    }
}
