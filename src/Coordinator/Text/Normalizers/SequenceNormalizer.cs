namespace TensorParallel.Coordinator.Text.Normalizers;

/// <summary>Several normalizers, one after the other.</summary>
internal sealed class SequenceNormalizer(INormalizer[] parts) : INormalizer
{
    public static SequenceNormalizer Read(TokenizerJson json) =>
        new([.. json.Required("normalizers").Items().Select(NormalizerCatalog.Read)]);

    public string Normalize(string text) => parts.Aggregate(text, (current, part) => part.Normalize(current));
}
