using TensorParallel.Protocol.Wire.Workers;

namespace TensorParallel.Worker.Session;

/// <summary>What the coordinator wants measured.</summary>
/// <param name="Kind">What.</param>
/// <param name="Sizes">Bytes of each message, for all-reduces.</param>
internal sealed record MeasureRequest(Measure.Types.Kind Kind, IReadOnlyList<long> Sizes);
