namespace TensorParallel.Coordinator.Hosting;

/// <summary>How much of a model folder a command needs.</summary>
internal enum PreparationScope
{
    /// <summary>
    /// A plan only: a bare <c>config.json</c> will do, and weights are checked only where there are any.
    /// </summary>
    PlanOnly,

    /// <summary>
    /// The model is to run: weights must be complete, and the tokenizer is loaded where there is one.
    /// </summary>
    Run,
}
