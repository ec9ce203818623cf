namespace TensorParallel.Coordinator.Text.Normalizers;

/// <summary>Puts a fixed text before any text that is not empty.</summary>
internal sealed class PrependNormalizer(string prefix) : INormalizer
{
    public static PrependNormalizer Read(TokenizerJson json) => new(json.Required("prepend").AsString());

    public string Normalize(string text) => text.Length == 0 ? text : prefix + text;
}
