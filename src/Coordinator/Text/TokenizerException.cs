namespace TensorParallel.Coordinator.Text;

/// <summary>A tokenizer file that cannot be used. The message is one sentence naming the file and the key.</summary>
internal sealed class TokenizerException : Exception
{
    public TokenizerException(string message)
        : base(message)
    {
    }

    public TokenizerException(string message, Exception inner)
        : base(message, inner)
    {
    }
}
