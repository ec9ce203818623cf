using TensorParallel.Protocol.Generation;
using TensorParallel.Worker.Collectives;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Execution;

/// <summary>A step on its way through a device.</summary>
/// <param name="step">Its number.</param>
/// <param name="began">Timestamp at which the rank began to issue it.</param>
/// <param name="clock">Times the rank's steps.</param>
/// <param name="collective">Asked for failures before anything leaves the rank.</param>
/// <param name="outcomes">Done when the step is done.</param>
/// <param name="tokens">Makes tokens of the outcomes.</param>
internal sealed class PendingStep(
    long step, long began, StepClock clock, ICollective collective, IPendingCopy outcomes, PendingStep.TokenReader tokens)
    : IPendingStep
{
    /// <summary>Makes the tokens that the rank reports of what was copied.</summary>
    public delegate IReadOnlyList<SampledToken> TokenReader(IPendingCopy outcomes);

    public bool IsDone => outcomes.IsDone;

    public void Wait() => outcomes.Wait();

    // What was computed after a collective that failed unseen is meaningless, and so is any error that came of it: the collective's
    // own goes first.
    public StepResult Finish()
    {
        try
        {
            outcomes.Wait();
            collective.ThrowIfFailed();
            return new StepResult(step, tokens(outcomes), clock.Microseconds(began));
        }
        catch (Exception e) when (e is not CollectiveException)
        {
            collective.ThrowIfFailed();
            throw;
        }
    }
}
