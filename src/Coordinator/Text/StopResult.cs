namespace TensorParallel.Coordinator.Text;

/// <summary>What <see cref="StopMatcher"/> made of some text.</summary>
/// <param name="Text">What may be shown now.</param>
/// <param name="Stop">The stop string that ended the text; null: none so far.</param>
internal readonly record struct StopResult(string Text, string? Stop)
{
    public bool Stopped => Stop is not null;
}
