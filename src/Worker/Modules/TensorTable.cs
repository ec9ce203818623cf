using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops;

namespace TensorParallel.Worker.Modules;

/// <summary>A table in memory that operations read: the device's own, or the host's.</summary>
/// <param name="ops">Operations.</param>
/// <param name="table">[rows held, HiddenSize].</param>
/// <param name="firstRow">Vocabulary entry of its first row.</param>
internal sealed class TensorTable(IDeviceOps ops, Tensor table, int firstRow) : IEmbeddingTable
{
    public void LookUp(Tensor ids, Tensor output) => ops.Embedding(table, ids, firstRow, output);
}
