using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Ops;

/// <summary>
/// Paged keys and values of one layer on this rank. Element [block, head, token, d] of either stands at
/// <c>((block · Heads + head) · BlockTokens + token) · HeadDim + d</c>: one head's tokens of a block are contiguous.
/// </summary>
/// <param name="Keys">[Blocks · Heads · BlockTokens, HeadDim], rotated keys.</param>
/// <param name="Values">Same shape.</param>
/// <param name="Heads">Key/value heads on this rank.</param>
/// <param name="HeadDim">Size of one head.</param>
/// <param name="BlockTokens">Token positions of a block.</param>
internal readonly record struct KvLayerView(Tensor Keys, Tensor Values, int Heads, int HeadDim, int BlockTokens);
