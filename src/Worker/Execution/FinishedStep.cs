using TensorParallel.Protocol.Generation;

namespace TensorParallel.Worker.Execution;

/// <summary>A step that was done when it was issued.</summary>
/// <param name="result">Its result.</param>
internal sealed class FinishedStep(StepResult result) : IPendingStep
{
    public bool IsDone => true;

    public void Wait()
    {
    }

    public StepResult Finish() => result;
}
