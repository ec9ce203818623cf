using System.Runtime.CompilerServices;
using TensorParallel.Coordinator.Text;
using TensorParallel.Protocol.Generation;

namespace TensorParallel.Coordinator.Engine;

/// <summary>
/// A model with all that a public interface needs to serve it. The engine is its maker's to start and to dispose.
/// </summary>
/// <param name="Info">What clients may know.</param>
/// <param name="Engine">Computes requests; they go through <see cref="GenerateAsync"/>.</param>
/// <param name="Requests">Makes and checks them.</param>
/// <param name="Tokenizer">Null: the model folder has none.</param>
internal sealed record ServedModel(
    ModelInfo Info, InferenceEngine Engine, GenerateRequestFactory Requests, Tokenizer? Tokenizer)
{
    /// <summary>Turns on shared devices; null: the model is on its devices always.</summary>
    public IDeviceTurns? Turns { get; init; }

    /// <summary>
    /// <see cref="InferenceEngine.GenerateAsync"/>, as soon as the model is on its devices; until then the request has a place in the
    /// engine's queue, so that it is counted, and refused where too many wait. The turn ends with the computation, not with the reader: a
    /// client that pauses keeps nobody from the devices.
    /// </summary>
    public async IAsyncEnumerable<GenerateEvent> GenerateAsync(
        GenerateRequest request, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var place = Turns is null ? null : Engine.Reserve();
        using var turn = Turns is null ? null : await Turns.EnterAsync(cancellationToken);
        await foreach (var generated in Engine.GenerateAsync(request, cancellationToken, turn is null ? null : turn.Dispose, place))
        {
            yield return generated;
        }
    }
}
