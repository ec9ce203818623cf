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
    /// <param name="parts">How many rows go through the blocks together, in order.</param>
    public StepTensors Upload(StepBatch batch, StepShape shape, WantedRows? wanted, IReadOnlyList<int> parts)
    {
        _used = 0;
        var tokens = buffers.Find(WorkspaceBuffers.TokenIds) is { } ids ? Tokens(batch, shape, ids) : null;
        IReadOnlyList<BlockRows> blocks = buffers.Find(WorkspaceBuffers.FusedQkv) is { } qkv ? Blocks(batch, shape, parts, qkv) : [];
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

    private BlockRows[] Blocks(StepBatch batch, StepShape shape, IReadOnlyList<int> parts, Tensor qkv)
    {
        var positions = Positions(batch, shape);
        var blockTables = BlockTables(batch, shape);
        var blocks = new BlockRows[parts.Count];
        var first = 0;
        for (var i = 0; i < blocks.Length; first += parts[i++])
        {
            var rows = Rows(batch, shape, first, parts[i], positions, blockTables);
            blocks[i] = new BlockRows(
                Part(buffers[WorkspaceBuffers.Residual], first, rows),
                Part(buffers[WorkspaceBuffers.Normed], first, rows),
                new BlockActivations(
                    rows,
                    Part(buffers[WorkspaceBuffers.ProjectionOut], first, rows),
                    Part(qkv, first, rows),
                    Part(buffers[WorkspaceBuffers.AttentionOut], first, rows),
                    Part(buffers[WorkspaceBuffers.GateUp], first, rows),
                    Part(buffers[WorkspaceBuffers.Activated], first, rows),
                    buffers.Find(WorkspaceBuffers.GatherPart) is { } gather ? Part(gather, first, rows) : null));
        }

        return blocks;
    }

    private static Tensor Part(Tensor buffer, int first, StepRows rows) => buffer.RowsAt(first, rows.Tokens);

    private Tensor Positions(StepBatch batch, StepShape shape)
    {
        var positions = Place(1, shape.Rows, out var places);
        places.Fill(-1);
        var row = 0;
        foreach (var sequence in batch.Sequences)
        {
            for (var r = 0; r < sequence.Rows; r++)
            {
                places[row++] = sequence.Position + r;
            }
        }

        return positions;
    }

    private Tensor BlockTables(StepBatch batch, StepShape shape)
    {
        var entries = (shape.Context + blockTokens - 1) / blockTokens;
        var blockTables = Place(shape.Sequences, entries, out var tables);
        tables.Clear();
        for (var s = 0; s < batch.Sequences.Count; s++)
        {
            var blocks = CollectionsMarshal.AsSpan(slots[batch.Sequences[s].Slot].Blocks);
            blocks[..Math.Min(blocks.Length, entries)].CopyTo(tables[(s * entries)..]);
        }

        return blockTables;
    }

    /// <summary>
    /// The rows of a part, and the sequences that have any there. Example: sequences of 3 and 5 rows in parts of 4: the first part has 3 and
    /// 1 rows of them, the second 4 of the second alone; most rows of a sequence are 5 in both.
    /// </summary>
    private StepRows Rows(StepBatch batch, StepShape shape, int first, int count, Tensor positions, Tensor blockTables)
    {
        var rowSequences = Place(1, count, out var owners);
        var starts = new List<int>();
        var (firstSequence, most, start) = (0, 0, 0);
        for (var s = 0; s < shape.Sequences; s++)
        {
            // A sequence that only fills up has one row.
            var all = s < batch.Sequences.Count ? batch.Sequences[s].Rows : 1;
            var end = start + all;
            var (from, to) = (Math.Max(start, first), Math.Min(end, first + count));
            start = end;
            if (from >= to)
            {
                continue;
            }

            firstSequence = starts.Count == 0 ? s : firstSequence;
            owners[(from - first)..(to - first)].Fill(starts.Count);
            starts.Add(from - first);
            most = Math.Max(most, all); // one row of several is none of a decode step, which may read earlier tokens before they are written
        }

        starts.Add(count);
        var queryStarts = Place(1, starts.Count, out var places);
        starts.CopyTo(places);
        return new StepRows(
            count, starts.Count - 1, positions.ColumnsAt(first, count), rowSequences, queryStarts,
            blockTables.RowsAt(firstSequence, starts.Count - 1), shape.Context, most);
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
