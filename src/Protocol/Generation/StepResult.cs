namespace TensorParallel.Protocol.Generation;

/// <summary>What a rank answers to a step.</summary>
/// <param name="Step">The step's number.</param>
/// <param name="Tokens">Tokens drawn, in the step's order; empty on ranks that do not report tokens.</param>
/// <param name="ComputeMicroseconds">Time the rank spent on the step, waiting for peers included.</param>
public sealed record StepResult(long Step, IReadOnlyList<SampledToken> Tokens, long ComputeMicroseconds);
