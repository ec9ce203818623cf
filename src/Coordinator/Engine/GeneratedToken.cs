using TensorParallel.Protocol.Generation;

namespace TensorParallel.Coordinator.Engine;

/// <summary>What the engine loop hands to the reader of a request.</summary>
/// <param name="Sampled">The token.</param>
/// <param name="Timestamp">When its step was complete, of the engine's <see cref="TimeProvider"/>.</param>
/// <param name="Finish">Set on the last token.</param>
internal readonly record struct GeneratedToken(SampledToken Sampled, long Timestamp, FinishReason? Finish);
