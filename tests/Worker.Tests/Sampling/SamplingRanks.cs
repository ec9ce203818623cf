using System.Runtime.InteropServices;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Generation;
using TensorParallel.Protocol.Parallel;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops;
using TensorParallel.Worker.Tests.Ops;
using Xunit;

namespace TensorParallel.Worker.Tests.Sampling;

/// <summary>
/// The ranks of a group that shares a vocabulary, one after the other on one device; the gathers are copies by the host. All tensors
/// have gaps, memory that nobody set is poisoned, and inputs must not change.
/// </summary>
internal sealed class SamplingRanks : IDisposable
{
    private readonly IDevice _device;
    private readonly ISamplingOps _ops;
    private readonly IReadOnlyList<IndexRange> _parts;
    private readonly Random _random;
    private readonly TestTensor _lastTokens;
    private readonly TestTensor[] _counts;
    private readonly SlotSettings[] _slots;
    private readonly List<TestTensor> _inputs = [];
    private TestTensor _settings;
    private TestTensor? _outcomes;
    private SamplingRows[] _rows = [];

    public SamplingRanks(IDevice device, ISamplingOps ops, IReadOnlyList<IndexRange> parts, int maxSequences, Random random)
    {
        (_device, _ops, _parts, _random) = (device, ops, parts, random);
        _slots = new SlotSettings[maxSequences];
        _settings = Tensor(DType.I32, maxSequences, SlotSettings.Words, null);
        _lastTokens = Tensor(DType.I32, 1, maxSequences, null);
        _counts = [.. parts.Select(p => Tensor(DType.I32, maxSequences, p.Length, null))];
    }

    /// <summary>Rows whose logits had to be gathered.</summary>
    public int Gathered { get; private set; }

    /// <summary>What <see cref="ISamplingOps.Commit"/> has left, by slot; −1 where nothing was drawn.</summary>
    public int[] LastTokens
    {
        get
        {
            _lastTokens.Accept();
            return _lastTokens.Integers;
        }
    }

    /// <summary>Sets a slot's settings and clears its counts where they are needed.</summary>
    public void Begin(int slot, SequenceStart start)
    {
        _slots[slot] = SlotSettings.From(slot, start);
        var words = new double[_slots.Length, SlotSettings.Words];
        for (var s = 0; s < _slots.Length; s++)
        {
            var ints = MemoryMarshal.Cast<SlotSettings, int>(_slots.AsSpan(s, 1));
            for (var i = 0; i < ints.Length; i++)
            {
                words[s, i] = ints[i];
            }
        }

        _settings.Tensor.Buffer.Dispose();
        _settings = Tensor(DType.I32, _slots.Length, SlotSettings.Words, words);
        foreach (var counts in _slots[slot].HasPenalties ? _counts : [])
        {
            var row = counts.Tensor.RowsAt(slot, 1);
            _device.Clear(row.Buffer, row.OffsetBytes, row.Columns * sizeof(int));
        }
    }

    /// <summary>Counts tokens of a sequence.</summary>
    public void Append(int slot, int[] tokens, bool generated)
    {
        for (var rank = 0; rank < _parts.Count && _slots[slot].HasPenalties; rank++)
        {
            _ops.CountTokens(
                _counts[rank].Tensor.RowsAt(slot, 1), Integers(tokens).Tensor, _parts[rank].Start, generated);
        }

        CheckInputs();
    }

    /// <summary>Outcomes of a step; rows that the summaries cannot decide are decided on gathered logits.</summary>
    public int[] Draw(int[] slots, int[] positions, float[][] logits, SummaryLayout layout)
    {
        SetRows(slots, positions);
        var local = _parts.Select(p => Input(logits, p)).ToArray();
        var summaries = Summaries(local, layout);
        _outcomes = Tensor(DType.I32, 1, slots.Length, null);
        _ops.Choose(summaries.Tensor, _parts, _rows[0], layout, _outcomes.Tensor);
        _outcomes.Accept();
        for (var row = 0; row < slots.Length; row++)
        {
            if (_outcomes.Integers[row] == ISamplingOps.Unproven)
            {
                Assert.False(layout.IsWhole);
                Gathered++;
                DrawFromAll(local, row);
            }
        }

        _outcomes.AssertUntouched("outcomes");
        CheckInputs();
        return _outcomes.Integers;
    }

    /// <summary>Each rank's summary, side by side.</summary>
    public TestTensor Summaries(float[][] logits, int[] slots, int[] positions, SummaryLayout layout)
    {
        SetRows(slots, positions);
        return Summaries([.. _parts.Select(p => Input(logits, p))], layout);
    }

    /// <summary>Commits the last step's outcomes, or these.</summary>
    public void Commit(int[]? outcomes = null)
    {
        var tokens = outcomes is null ? _outcomes! : Integers(outcomes);
        for (var rank = 0; rank < _parts.Count; rank++)
        {
            _ops.Commit(tokens.Tensor, _parts[rank].Start, _rows[rank], _lastTokens.Tensor);
        }

        CheckInputs();
    }

    /// <summary>Counts of a slot over the whole vocabulary.</summary>
    public int[] Counts(int slot) => [.. _counts.SelectMany(c =>
    {
        var values = c.Accept();
        return Enumerable.Range(0, values.GetLength(1)).Select(i => (int)values[slot, i]);
    })];

    /// <summary>Slots without penalties have no counts: their memory still holds the poison.</summary>
    public void AssertCountsOfOthersUntouched()
    {
        for (var slot = 0; slot < _slots.Length; slot++)
        {
            Assert.True(_slots[slot].HasPenalties || Counts(slot).All(c => c == -1), $"Counts of slot {slot} were touched.");
        }
    }

    public void Dispose()
    {
        CheckInputs();
        foreach (var tensor in _counts.Append(_settings).Append(_lastTokens))
        {
            tensor.Tensor.Buffer.Dispose();
        }
    }

    private TestTensor Summaries(TestTensor[] local, SummaryLayout layout)
    {
        var rows = _rows[0].Count;
        var words = new double[rows, _parts.Count * layout.Words];
        for (var rank = 0; rank < _parts.Count; rank++)
        {
            var summary = Tensor(DType.I32, rows, layout.Words, null);
            _ops.Summarise(local[rank].Tensor, _parts[rank].Start, _rows[rank], layout, summary.Tensor);
            var own = summary.Accept();
            summary.AssertUntouched("around a summary");
            for (var i = 0; i < own.Length; i++)
            {
                var (row, word) = (i / layout.Words, i % layout.Words);
                words[row, (rank * layout.Words) + word] = own[row, word];
            }

            summary.Tensor.Buffer.Dispose();
        }

        return Input(DType.I32, words);
    }

    private void DrawFromAll(TestTensor[] local, int row)
    {
        var all = new List<double>();
        for (var rank = 0; rank < _parts.Count; rank++)
        {
            var adjusted = Tensor(DType.F32, 1, _parts[rank].Length, null);
            _ops.Adjust(local[rank].Tensor, _parts[rank].Start, _rows[rank], row, adjusted.Tensor);
            all.AddRange(adjusted.Accept().Cast<double>());
            adjusted.AssertUntouched("around adjusted logits");
            adjusted.Tensor.Buffer.Dispose();
        }

        var whole = new double[1, all.Count];
        for (var i = 0; i < all.Count; i++)
        {
            whole[0, i] = all[i];
        }

        _ops.ChooseFromAll(Input(DType.F32, whole).Tensor, _rows[0], row, _outcomes!.Tensor);
        _outcomes.Accept();
    }

    private TestTensor Input(float[][] logits, IndexRange part)
    {
        var values = new double[logits.Length, part.Length];
        for (var row = 0; row < logits.Length; row++)
        {
            for (var i = 0; i < part.Length; i++)
            {
                values[row, i] = logits[row][part.Start + i];
            }
        }

        return Input(DType.F32, values);
    }

    private TestTensor Integers(int[] values)
    {
        var row = new double[1, values.Length];
        for (var i = 0; i < values.Length; i++)
        {
            row[0, i] = values[i];
        }

        return Input(DType.I32, row);
    }

    private TestTensor Input(DType dtype, double[,] values)
    {
        var tensor = Tensor(dtype, values.GetLength(0), values.GetLength(1), values);
        _inputs.Add(tensor);
        return tensor;
    }

    // Every other tensor has rows at multiples of 16 bytes.
    private TestTensor Tensor(DType dtype, int rows, int columns, double[,]? values)
    {
        var padding = _random.Next(2) == 0 ? _random.Next(6) : 4 - (columns % 4) + (4 * _random.Next(2));
        return new TestTensor(_device, dtype, rows, columns, padding, values);
    }

    /// <summary>Begins a step: what the last one was given is not needed any more.</summary>
    private void SetRows(int[] slots, int[] positions)
    {
        _inputs.ForEach(i => i.Tensor.Buffer.Dispose());
        _inputs.Clear();
        var (slotRow, positionRow) = (Integers(slots), Integers(positions));
        _rows = [.. _counts.Select(c =>
            new SamplingRows(slots.Length, slotRow.Tensor, positionRow.Tensor, _settings.Tensor, c.Tensor))];
    }

    private void CheckInputs() => _inputs.ForEach(i => i.AssertUntouched("input"));
}
