using System.Globalization;
using System.Runtime.CompilerServices;

namespace TensorParallel.Worker.Native;

/// <summary>
/// What a call was, for the message of its failure: written only where it has failed, for a step of 290 launches that wrote it each time
/// would spend a tenth of its issue on it.
/// </summary>
[InterpolatedStringHandler]
internal ref struct CallText
{
    private DefaultInterpolatedStringHandler _text;

    /// <summary>Made by the compiler for an interpolated string; what it holds is not even evaluated where <paramref name="isWanted"/> is false.</summary>
    public CallText(int literalLength, int formattedCount, int status, out bool isWanted)
    {
        isWanted = status != 0;
        _text = isWanted ? new DefaultInterpolatedStringHandler(literalLength, formattedCount, CultureInfo.InvariantCulture) : default;
    }

    public void AppendLiteral(string value) => _text.AppendLiteral(value);

    public void AppendFormatted<T>(T value) => _text.AppendFormatted(value);

    public void AppendFormatted<T>(T value, string? format) => _text.AppendFormatted(value, format);

    /// <summary>The text; call once.</summary>
    public string Take() => _text.ToStringAndClear();
}
