using System.Runtime.InteropServices;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Generation;
using TensorParallel.Protocol.Parallel;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Modules;
using TensorParallel.Worker.Ops;

namespace TensorParallel.Worker.Execution;

/// <summary>
/// The small integers of a step. They are written one array behind the other and go to the device in one copy; where an array begins
/// follows from the step's shape alone, so that a recorded step finds them. Used by one thread.
/// </summary>
internal sealed class StepInputs(IDevice device, StepBuffers buffers, SlotTable slots, int blockTokens)
{
    private readonly Tensor _buffer = buffers[WorkspaceBuffers.StepInputs];
    private readonly int[] _values = new int[buffers[WorkspaceBuffers.StepInputs].Columns];
    private int _used;

    /// <summary>Uploads a step's integers and gives the views of all its memory.</summary>
    /// <param name="batch">The step; rows and sequences that the shape has besides fill up.</param>
    /// <param name="shape">Its shape.</param>
    /// <param name="wanted">Whose logits are wanted; null on a rank without head.</param>
    public StepTensors Upload(StepBatch batch, StepShape shape, WantedRows? wanted)
    {
        _used = 0;
        var tokens = buffers.Find(WorkspaceBuffers.TokenIds) is { } ids ? Tokens(batch, shape, ids) : null;
        var blocks = buffers.Find(WorkspaceBuffers.FusedQkv) is { } qkv ? Blocks(batch, shape, qkv) : null;
        var head = wanted is null ? null : Head(shape, wanted);
        device.CopyToDevice(MemoryMarshal.AsBytes(_values.AsSpan(0, _used)), _buffer.Buffer, _buffer.OffsetBytes);
        return new StepTensors(
            shape,
            new Activations(
                buffers[WorkspaceBuffers.Residual].RowsAt(0, shape.Rows),
                buffers[WorkspaceBuffers.Normed].RowsAt(0, shape.Rows),
                blocks),
            tokens,
            head);
    }

    private TokenTensors Tokens(StepBatch batch, StepShape shape, Tensor ids)
    {
        var given = Place(1, shape.Rows, out var tokens);
        var rowSlots = Place(1, shape.Rows, out var places);
        tokens.Fill(-1);
        places.Fill(-1);
        var row = 0;
        foreach (var sequence in batch.Sequences)
        {
            places.Slice(row, sequence.Rows).Fill(sequence.Slot);
            for (var i = 0; i < sequence.Tokens.Count; i++)
            {
                tokens[row + i] = sequence.Tokens[i];
            }

            row += sequence.Rows;
        }

        return new TokenTensors(given, rowSlots, ids.ColumnsAt(0, shape.Rows));
    }

    private BlockActivations Blocks(StepBatch batch, StepShape shape, Tensor qkv) => new(
        Rows(batch, shape),
        buffers[WorkspaceBuffers.ProjectionOut].RowsAt(0, shape.Rows),
        qkv.RowsAt(0, shape.Rows),
        buffers[WorkspaceBuffers.AttentionOut].RowsAt(0, shape.Rows),
        buffers[WorkspaceBuffers.GateUp].RowsAt(0, shape.Rows),
        buffers[WorkspaceBuffers.Activated].RowsAt(0, shape.Rows),
        buffers.Find(WorkspaceBuffers.GatherPart)?.RowsAt(0, shape.Rows));

    private StepRows Rows(StepBatch batch, StepShape shape)
    {
        var positions = Place(1, shape.Rows, out var places);
        var rowSequences = Place(1, shape.Rows, out var owners);
        var queryStarts = Place(1, shape.Sequences + 1, out var starts);
        var entries = (shape.Context + blockTokens - 1) / blockTokens;
        var blockTables = Place(shape.Sequences, entries, out var tables);
        tables.Clear();
        var row = 0;
        for (var s = 0; s < shape.Sequences; s++)
        {
            starts[s] = row;
            if (s >= batch.Sequences.Count)
            {
                (places[row], owners[row]) = (-1, s);
                row++;
                continue;
            }

            var sequence = batch.Sequences[s];
            var blocks = CollectionsMarshal.AsSpan(slots[sequence.Slot].Blocks);
            blocks[..Math.Min(blocks.Length, entries)].CopyTo(tables[(s * entries)..]);
            for (var r = 0; r < sequence.Rows; r++, row++)
            {
                (places[row], owners[row]) = (sequence.Position + r, s);
            }
        }

        starts[^1] = row;
        return new StepRows(
            shape.Rows, shape.Sequences, positions, rowSequences, queryStarts, blockTables, shape.Context, shape.MaxQueryRows);
    }

    private HeadTensors Head(StepShape shape, WantedRows wanted)
    {
        var rows = Place(1, shape.LogitRows, out var numbers);
        var rowSlots = Place(1, shape.SampledRows, out var places);
        var positions = Place(1, shape.SampledRows, out var ends);
        wanted.Rows.CopyTo(numbers);
        wanted.SampledSlots.CopyTo(places);
        wanted.SampledPositions.CopyTo(ends);
        for (var row = wanted.Count; row < shape.LogitRows; row++)
        {
            (numbers[row], places[row], ends[row]) = (row, -1, 0);
        }

        return new HeadTensors(rows, rowSlots, positions);
    }

    private Tensor Place(int rows, int columns, out Span<int> values)
    {
        var count = rows * columns;
        if (_used + count > _values.Length)
        {
            throw new InvalidOperationException(
                $"\"{WorkspaceBuffers.StepInputs}\" holds {_values.Length} numbers, but the step has more.");
        }

        values = _values.AsSpan(_used, count);
        var view = new Tensor(
            _buffer.Buffer, _buffer.OffsetBytes + ((long)_used * sizeof(int)), DType.I32, rows, columns, columns);
        _used += count;
        return view;
    }
}
