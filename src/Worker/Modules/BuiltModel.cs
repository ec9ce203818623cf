using TensorParallel.Worker.Quantization;

namespace TensorParallel.Worker.Modules;

/// <summary>Modules whose weights are still to be loaded.</summary>
/// <param name="Model">The model; owns its memory.</param>
/// <param name="Targets">What to load, and where to.</param>
internal sealed record BuiltModel(DecoderModel Model, IReadOnlyList<WeightTarget> Targets);
