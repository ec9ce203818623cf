using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Execution;

/// <summary>The rows whose logits are wanted.</summary>
/// <param name="Rows">I32 [1, L]: their numbers.</param>
/// <param name="Slots">I32 [1, L']: slots of the first L', which a token is drawn for; −1: a row that only fills up the step.</param>
/// <param name="Positions">I32 [1, L']: positions that their tokens will stand at.</param>
internal sealed record HeadTensors(Tensor Rows, Tensor Slots, Tensor Positions);
