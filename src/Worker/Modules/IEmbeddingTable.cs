using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Modules;

/// <summary>This rank's rows of a token embedding, wherever they lie.</summary>
internal interface IEmbeddingTable
{
    /// <summary>
    /// output[t] = row of ids[t]; zeros where this rank does not hold it, and for −1. ids: I32 [1, T]; output: activation [T, HiddenSize].
    /// </summary>
    void LookUp(Tensor ids, Tensor output);
}
