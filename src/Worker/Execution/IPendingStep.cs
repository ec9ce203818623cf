using TensorParallel.Protocol.Generation;

namespace TensorParallel.Worker.Execution;

/// <summary>A step that was issued. Steps are finished in the order issued, each once; all by the model's thread.</summary>
internal interface IPendingStep
{
    /// <summary>Whether <see cref="Finish"/> would return or throw at once.</summary>
    bool IsDone { get; }

    /// <summary>Returns when it is done, well or not.</summary>
    void Wait();

    /// <summary>Waits for the step and gives its result; throws what went wrong in it.</summary>
    StepResult Finish();
}
