using TensorParallel.Coordinator.Text;

namespace TensorParallel.Coordinator.Engine;

/// <summary>
/// A model with all that a public interface needs to serve it. The engine is its maker's to start and to dispose.
/// </summary>
/// <param name="Info">What clients may know.</param>
/// <param name="Engine">Where requests go.</param>
/// <param name="Requests">Makes and checks them.</param>
/// <param name="Tokenizer">Null: the model folder has none.</param>
internal sealed record ServedModel(
    ModelInfo Info, InferenceEngine Engine, GenerateRequestFactory Requests, Tokenizer? Tokenizer);
