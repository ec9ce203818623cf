namespace TensorParallel.Coordinator.Text.PreTokenizers;

/// <summary>Several pre-tokenizers, each cutting the pieces of the one before.</summary>
internal sealed class SequencePreTokenizer(IPreTokenizer[] parts) : IPreTokenizer
{
    public static SequencePreTokenizer Read(TokenizerJson json) =>
        new([.. json.Required("pretokenizers").Items().Select(PreTokenizerCatalog.Read)]);

    public void Apply(SplitText text)
    {
        foreach (var part in parts)
        {
            part.Apply(text);
        }
    }
}
