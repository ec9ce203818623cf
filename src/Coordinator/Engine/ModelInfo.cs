using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Engine;

/// <summary>What clients may know about the model that is served. Immutable.</summary>
/// <param name="Name">Name for people and clients.</param>
/// <param name="Spec">What the model is.</param>
/// <param name="Plan">How it is spread.</param>
/// <param name="EosTokenIds">Its own end-of-sequence ids.</param>
internal sealed record ModelInfo(string Name, ModelSpec Spec, ExecutionPlan Plan, IReadOnlyList<int> EosTokenIds);
