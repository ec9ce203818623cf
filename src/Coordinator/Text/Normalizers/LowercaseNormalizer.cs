namespace TensorParallel.Coordinator.Text.Normalizers;

/// <summary>
/// Lower case, each code point for itself (a Greek final sigma is not special). İ is the one letter whose lower case
/// is two code points; .NET's invariant casing leaves it alone.
/// </summary>
internal sealed class LowercaseNormalizer : INormalizer
{
    public string Normalize(string text) =>
        text.ToLowerInvariant().Replace("\u0130", "i\u0307", StringComparison.Ordinal);
}
