using System.Runtime.InteropServices;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Loading;
using TensorParallel.Worker.Modules;

namespace TensorParallel.Worker.Offloading;

/// <summary>
/// A token embedding that stays in its file: the rows of a step's tokens are read when they are needed, which waits for the tokens of
/// the step before. Host memory: the rows of one step. Used by the thread that issues operations.
/// </summary>
internal sealed class FileTable : IEmbeddingTable, IDisposable
{
    private readonly TensorInfo _tensor;
    private readonly IDevice _device;
    private readonly int _rank;
    private readonly DType _dtype;
    private readonly IndexRange _held;
    private readonly int _columns;
    private readonly SafetensorsFile _file;
    private byte[] _rows = [];

    /// <summary>Opens the file.</summary>
    /// <param name="tensor">The table in its file.</param>
    /// <param name="slice">Rows that this rank holds.</param>
    /// <param name="fullRows">Rows that the tensor must have.</param>
    /// <param name="fullColumns">Columns that the tensor must have.</param>
    /// <param name="dtype">Dtype of the run, which elements are rounded to.</param>
    /// <param name="device">Where rows are wanted.</param>
    /// <param name="rank">For messages.</param>
    public FileTable(TensorInfo tensor, TensorSlice slice, int fullRows, int fullColumns, DType dtype, IDevice device, int rank)
    {
        if (!tensor.Shape.SequenceEqual([fullRows, fullColumns]) || !DTypeConversion.IsSupported(tensor.DType))
        {
            throw new CheckpointException(
                $"Rank {rank}: {tensor.File}: tensor \"{tensor.Name}\" is {tensor.DType.SafetensorsName()} " +
                $"[{string.Join(", ", tensor.Shape)}], but the model needs F32, BF16 or F16 [{fullRows}, {fullColumns}].");
        }

        if (slice.Dim is not (null or 0) || slice.Ranges.Count > 1)
        {
            throw new PlanException($"Rows of \"{slice.Name}\" can be read from its file only where it is whole or cut once by rows.");
        }

        (_tensor, _device, _rank, _dtype, _columns) = (tensor, device, rank, dtype, fullColumns);
        _held = slice.Dim is null ? new IndexRange(0, fullRows) : slice.Ranges.Count == 0 ? new IndexRange(0, 0) : slice.Ranges[0];
        _file = new SafetensorsFile(tensor.File);
    }

    public void LookUp(Tensor ids, Tensor output)
    {
        var numbers = new int[ids.Columns];
        _device.CopyToHost(ids.Buffer, ids.OffsetBytes, MemoryMarshal.AsBytes(numbers.AsSpan()));
        var rowBytes = _columns * output.DType.SizeInBytes();
        if (_rows.Length < numbers.Length * rowBytes)
        {
            _rows = GC.AllocateUninitializedArray<byte>(numbers.Length * rowBytes);
        }

        try
        {
            for (var i = 0; i < numbers.Length; i++)
            {
                Read(numbers[i], output.DType, _rows.AsSpan(i * rowBytes, rowBytes));
            }

            _file.ThrowIfChanged();
        }
        catch (CheckpointException e)
        {
            throw new CheckpointException($"Rank {_rank}: {e.Message}", e);
        }

        for (var i = 0; i < numbers.Length; i++)
        {
            var place = output.RowsAt(i, 1);
            _device.CopyToDevice(_rows.AsSpan(i * rowBytes, rowBytes), place.Buffer, place.OffsetBytes);
        }
    }

    public void Dispose() => _file.Dispose();

    // Rounded to the run's dtype first, as a table in memory would be, then made what activations are.
    private void Read(int id, DType activation, Span<byte> target)
    {
        if (id < _held.Start || id >= _held.End)
        {
            target.Clear();
            return;
        }

        var stored = new byte[_columns * _tensor.DType.SizeInBytes()];
        _file.Read(_tensor.Offset + ((long)id * stored.Length), stored, _tensor.Name);
        var rounded = new byte[_columns * _dtype.SizeInBytes()];
        DTypeConversion.Convert(_tensor.DType, stored, _dtype, rounded);
        DTypeConversion.Convert(_dtype, rounded, activation, target);
    }
}
