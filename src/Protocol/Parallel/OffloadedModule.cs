namespace TensorParallel.Protocol.Parallel;

/// <summary>A module of a rank whose weights are not on its device between uses.</summary>
/// <param name="Name">Embedding, a decoder block or the output head, as the model names it: <c>model.layers.12</c>.</param>
/// <param name="Residency">Host or disk.</param>
/// <param name="Bytes">This rank's weights of the module, in the dtype the run uses.</param>
public sealed record OffloadedModule(string Name, Residency Residency, long Bytes);
