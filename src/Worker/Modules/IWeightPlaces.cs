using TensorParallel.Protocol.Parallel;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Modules;

/// <summary>Where the weights of a rank's modules lie.</summary>
internal interface IWeightPlaces
{
    /// <summary>Where a module is while nobody computes with it.</summary>
    Residency ResidencyOf(string module);

    /// <summary>The place of a module: embedding, decoder block or output head.</summary>
    IWeightPlace Of(string module);

    /// <summary>
    /// Where a tensor that the place of a module gave lies for good, if that is host memory which operations read; else null.
    /// </summary>
    Tensor? HomeOf(string module, Tensor tensor);

    /// <summary>A table whose rows are read from files as they are asked for.</summary>
    /// <param name="slice">This rank's rows, or columns, of it.</param>
    /// <param name="fullRows">Rows of the whole table.</param>
    /// <param name="fullColumns">Columns of the whole table.</param>
    IEmbeddingTable RowsFromFiles(TensorSlice slice, int fullRows, int fullColumns);
}
