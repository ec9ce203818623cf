namespace TensorParallel.Coordinator.Engine;

/// <summary>A prompt as the caller gave it: text or token ids, never both.</summary>
internal sealed record PromptInput
{
    private PromptInput(string? text, IReadOnlyList<int>? ids)
    {
        Text = text;
        Ids = ids;
    }

    /// <summary>Text to tokenise; null for ids.</summary>
    public string? Text { get; }

    /// <summary>Token ids, used as they are; null for text.</summary>
    public IReadOnlyList<int>? Ids { get; }

    /// <summary>Text, to which the tokenizer adds its special tokens.</summary>
    public static PromptInput OfText(string text) => new(text, null);

    /// <summary>Token ids, to which nothing is added.</summary>
    public static PromptInput OfIds(IReadOnlyList<int> ids) => new(null, ids);
}
