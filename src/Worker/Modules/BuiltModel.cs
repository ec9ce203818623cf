using TensorParallel.Worker.Quantization;

namespace TensorParallel.Worker.Modules;

/// <summary>Modules whose weights are still to be loaded.</summary>
/// <param name="Model">The model; owns its memory.</param>
/// <param name="Targets">What to load before the first step, and where to.</param>
/// <param name="Weights">All weights: those, and what is read for each use.</param>
internal sealed record BuiltModel(
    DecoderModel Model, IReadOnlyList<WeightTarget> Targets, IReadOnlyList<WeightTarget> Weights);
