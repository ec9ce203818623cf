namespace TensorParallel.Worker.Execution;

/// <summary>The logits of a step, before any penalty or temperature.</summary>
/// <param name="Step">Number of the step.</param>
/// <param name="Slots">Slot of each row.</param>
/// <param name="Rows">One array of vocabulary size a row.</param>
internal sealed record StepLogits(long Step, IReadOnlyList<int> Slots, IReadOnlyList<float[]> Rows);
