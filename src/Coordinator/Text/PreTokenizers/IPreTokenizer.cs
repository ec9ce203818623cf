namespace TensorParallel.Coordinator.Text.PreTokenizers;

/// <summary>Cuts text into the words that the model never merges across. Immutable, thread-safe.</summary>
internal interface IPreTokenizer
{
    /// <summary>Cuts the pieces of <paramref name="text"/> further, or rewrites them, in place.</summary>
    void Apply(SplitText text);
}
