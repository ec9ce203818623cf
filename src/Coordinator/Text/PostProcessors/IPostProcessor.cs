namespace TensorParallel.Coordinator.Text.PostProcessors;

/// <summary>Adds the tokens that a prompt begins or ends with. Immutable, thread-safe.</summary>
internal interface IPostProcessor
{
    /// <summary>
    /// The sequence to give the model. Without <paramref name="addSpecialTokens"/> nothing is added, but a template
    /// that repeats the text still does.
    /// </summary>
    List<int> Apply(List<int> ids, bool addSpecialTokens);
}
