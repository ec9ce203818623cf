using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Ops;

/// <summary>Which sequences the rows of the logits belong to. The tensors live on the device.</summary>
/// <param name="Count">Rows, L.</param>
/// <param name="Slots">
/// I32 [1, L]: slot of each row, each at most once; −1: the row only fills up the step, nothing is drawn for it.
/// </param>
/// <param name="Positions">I32 [1, L]: position that each row's new token will stand at; it keys the noise.</param>
/// <param name="Settings">
/// I32 [MaxSequences, <see cref="SlotSettings.Words"/>]: one <see cref="SlotSettings"/> a slot.
/// </param>
/// <param name="Counts">
/// I32 [MaxSequences, local vocabulary]: what each slot's sequence holds of each token (see
/// <see cref="ISamplingOps.CountTokens"/>). The rows of slots without penalties are neither read nor written, so that
/// their memory need not even exist.
/// </param>
internal sealed record SamplingRows(int Count, Tensor Slots, Tensor Positions, Tensor Settings, Tensor Counts);
