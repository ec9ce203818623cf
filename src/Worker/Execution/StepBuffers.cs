using System.Runtime.InteropServices;
using TensorParallel.Protocol.Generation;
using TensorParallel.Protocol.Parallel;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Modules;
using TensorParallel.Worker.Ops;

namespace TensorParallel.Worker.Execution;

/// <summary>
/// The memory of a rank's steps, allocated once for the largest: exactly the plan's <see cref="WorkspaceBuffers"/>. A
/// step uses the first rows. Used by one thread.
/// </summary>
internal sealed class StepBuffers : IDisposable
{
    private readonly IDevice _device;
    private readonly Dictionary<string, Tensor> _tensors = [];

    /// <summary>Allocates everything; on failure nothing stays allocated.</summary>
    public StepBuffers(IDevice device, IReadOnlyList<WorkspaceBuffer> buffers)
    {
        _device = device;
        try
        {
            foreach (var buffer in buffers)
            {
                var memory = device.Allocate(buffer.Bytes, MemoryPurpose.Workspace);
                _tensors.Add(
                    buffer.Name, new Tensor(memory, 0, buffer.DType, buffer.Rows, buffer.Columns, buffer.Columns));
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The whole buffer of that name; throws where this rank has none.</summary>
    public Tensor this[string name] => Find(name) ?? throw new InvalidOperationException(
        $"This rank's plan has no buffer \"{name}\".");

    /// <summary>The whole buffer of that name; null where this rank has none.</summary>
    public Tensor? Find(string name) => _tensors.TryGetValue(name, out var tensor) ? tensor : null;

    /// <summary>
    /// Copies values to the start of an I32 buffer and returns a view [rows, values.Length / rows] of them.
    /// </summary>
    public Tensor Upload(string name, ReadOnlySpan<int> values, int rows = 1)
    {
        var buffer = this[name];
        var columns = values.Length / rows;
        if (columns > buffer.Columns || rows > buffer.Rows)
        {
            throw new InvalidOperationException(
                $"\"{name}\" holds [{buffer.Rows}, {buffer.Columns}] numbers: [{rows}, {columns}] do not fit.");
        }

        _device.CopyToDevice(MemoryMarshal.AsBytes(values), buffer.Buffer, buffer.OffsetBytes);
        return buffer with { Rows = rows, Columns = columns, RowStride = columns };
    }

    /// <summary>Uploads what blocks must know about a step's rows, and gives the views for them.</summary>
    public Activations Prepare(StepBatch batch, SlotTable slots)
    {
        var tokens = batch.Sequences.Sum(s => s.Rows);
        return new Activations(
            this[WorkspaceBuffers.Residual].RowsAt(0, tokens),
            this[WorkspaceBuffers.Normed].RowsAt(0, tokens),
            Find(WorkspaceBuffers.FusedQkv) is { } qkv ? Blocks(qkv, tokens, batch, slots) : null);
    }

    public void Dispose()
    {
        foreach (var tensor in _tensors.Values)
        {
            tensor.Buffer.Dispose();
        }

        _tensors.Clear();
    }

    private BlockActivations Blocks(Tensor qkv, int tokens, StepBatch batch, SlotTable slots) => new(
        Rows(batch, slots, tokens),
        this[WorkspaceBuffers.ProjectionOut].RowsAt(0, tokens),
        qkv.RowsAt(0, tokens),
        this[WorkspaceBuffers.AttentionOut].RowsAt(0, tokens),
        this[WorkspaceBuffers.GateUp].RowsAt(0, tokens),
        this[WorkspaceBuffers.Activated].RowsAt(0, tokens),
        Find(WorkspaceBuffers.GatherPart)?.RowsAt(0, tokens));

    private StepRows Rows(StepBatch batch, SlotTable slots, int tokens)
    {
        var count = batch.Sequences.Count;
        var tableColumns = this[WorkspaceBuffers.BlockTables].Columns;
        var positions = new int[tokens];
        var rowSequences = new int[tokens];
        var queryStarts = new int[count + 1];
        var tables = new int[count * tableColumns];
        var (row, maxContext, maxRows) = (0, 0, 0);
        for (var i = 0; i < count; i++)
        {
            var sequence = batch.Sequences[i];
            slots[sequence.Slot].Blocks.CopyTo(tables, i * tableColumns);
            for (var r = 0; r < sequence.Rows; r++, row++)
            {
                positions[row] = sequence.Position + r;
                rowSequences[row] = i;
            }

            queryStarts[i + 1] = row;
            maxContext = Math.Max(maxContext, sequence.Position + sequence.Rows);
            maxRows = Math.Max(maxRows, sequence.Rows);
        }

        return new StepRows(
            tokens,
            count,
            Upload(WorkspaceBuffers.Positions, positions),
            Upload(WorkspaceBuffers.RowSequences, rowSequences),
            Upload(WorkspaceBuffers.QueryStarts, queryStarts),
            Upload(WorkspaceBuffers.BlockTables, tables, count),
            maxContext,
            maxRows);
    }
}
