namespace TensorParallel.Coordinator.Text.Normalizers;

/// <summary>Removes white space at the left, the right or both ends.</summary>
internal sealed class StripNormalizer(bool left, bool right) : INormalizer
{
    public static StripNormalizer Read(TokenizerJson json) =>
        new(json.Flag("strip_left", absent: true), json.Flag("strip_right", absent: true));

    public string Normalize(string text)
    {
        var (start, end) = (0, text.Length);
        while (left && start < end && UnicodeClasses.IsSpace(text[start]))
        {
            start++;
        }

        while (right && end > start && UnicodeClasses.IsSpace(text[end - 1]))
        {
            end--;
        }

        return text[start..end];
    }
}
