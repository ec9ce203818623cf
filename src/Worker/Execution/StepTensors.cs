using TensorParallel.Worker.Modules;

namespace TensorParallel.Worker.Execution;

/// <summary>One step on the device: what its launches are given. Steps of equal shape have equal tensors.</summary>
/// <param name="Shape">Decides all of it.</param>
/// <param name="Activations">Memory that the rows go through.</param>
/// <param name="Tokens">Which tokens the rows are; null on a rank that does not look them up.</param>
/// <param name="Head">Whose logits are wanted; null on a rank without head.</param>
internal sealed record StepTensors(StepShape Shape, Activations Activations, TokenTensors? Tokens, HeadTensors? Head);
