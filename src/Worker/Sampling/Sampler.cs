using System.Numerics;
using System.Runtime.InteropServices;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Generation;
using TensorParallel.Protocol.Parallel;
using TensorParallel.Worker.Collectives;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops;

namespace TensorParallel.Worker.Sampling;

/// <summary>
/// Draws tokens from logits whose vocabulary is cut over the ranks of a group. Every rank calls the same methods with
/// the same slots, positions and settings, and its own logits; every rank gets the same tokens, at any number of ranks.
/// <para>
/// A step costs one gather of a few words a row. Only where the vocabulary is shared and top-k, top-p or min-p need more
/// tokens than the ranks' best candidates, that row's logits are gathered (<see cref="GatheredRows"/> counts them). Used by one thread.
/// </para>
/// </summary>
internal sealed class Sampler : IDisposable
{
    /// <summary>
    /// Candidates of one rank for top-p and min-p: mostly enough for the nucleus of a language model.
    /// </summary>
    private const int UsualCandidates = 64;

    private readonly ISamplingOps _ops;
    private readonly IDevice _device;
    private readonly ICollective _collective;
    private readonly IReadOnlyList<IndexRange> _parts;
    private readonly int[] _partColumns;
    private readonly int[] _summaryColumns;
    private readonly IndexRange _own;
    private readonly SlotHistory[] _slots;
    private readonly SamplerBuffers _buffers;

    /// <summary>Makes a sampler and allocates what it needs.</summary>
    /// <param name="ops">Operations of <paramref name="device"/>.</param>
    /// <param name="device">Where the logits are.</param>
    /// <param name="collective">The group that shares the vocabulary; a group of one where it is not cut.</param>
    /// <param name="parts">Ids of each rank, in rank order without gaps from 0; may be uneven or empty.</param>
    /// <param name="rank">This rank of the group.</param>
    /// <param name="limits">Sizes of steps.</param>
    public Sampler(
        ISamplingOps ops,
        IDevice device,
        ICollective collective,
        IReadOnlyList<IndexRange> parts,
        int rank,
        StepLimits limits)
    {
        CheckParts(collective, parts, rank);
        _ops = ops;
        _device = device;
        _collective = collective;
        _parts = parts;
        _partColumns = [.. parts.Select(p => p.Length)];
        _summaryColumns = new int[parts.Count];
        _own = parts[rank];
        _slots = new SlotHistory[limits.MaxSequences];
        for (var slot = 0; slot < _slots.Length; slot++)
        {
            _slots[slot] = new SlotHistory();
        }

        ops.Reserve(limits.MaxSequences, _own.Length);
        _buffers = new SamplerBuffers(device, parts, rank, limits);
    }

    /// <summary>I32 [1, MaxSequences]: the last token drawn for each slot.</summary>
    public Tensor LastTokens => _buffers.LastTokens;

    /// <summary>I32 [1, MaxSequences]: where <see cref="Draw"/> leaves, row by row, what <see cref="Tokens"/> takes.</summary>
    public Tensor Outcomes => _buffers.Tokens;

    /// <summary>Rows so far whose logits had to be gathered.</summary>
    public long GatheredRows { get; private set; }

    /// <summary>Starts a sequence in a slot; what the slot held is forgotten.</summary>
    public void Begin(int slot, SequenceStart start)
    {
        var history = _slots[slot];
        history.Begin(slot, start);
        var settings = history.Settings;
        _device.CopyToDevice(
            MemoryMarshal.AsBytes(MemoryMarshal.CreateReadOnlySpan(ref settings, 1)),
            _buffers.Settings.Buffer,
            _buffers.Settings.RowsAt(slot, 1).OffsetBytes);
        if (settings.HasPenalties)
        {
            var counts = _buffers.Counts.RowsAt(slot, 1);
            _device.Clear(counts.Buffer, counts.OffsetBytes, counts.Columns * sizeof(int));
        }
    }

    /// <summary>
    /// Appends the tokens of a prompt chunk. They must all be appended, in order; those at and after the start's
    /// PromptTokens were generated before the sequence was interrupted and count as generated.
    /// </summary>
    public void AppendPrompt(int slot, ReadOnlySpan<int> tokens)
    {
        var history = Begun(slot);
        var prompt = Math.Clamp(history.Settings.PromptTokens - history.Length, 0, tokens.Length);
        history.Length += tokens.Length;
        if (history.Settings.HasPenalties)
        {
            var counts = _buffers.Counts.RowsAt(slot, 1);
            Count(counts, tokens[..prompt], generated: false);
            Count(counts, tokens[prompt..], generated: true);
        }
    }

    /// <summary>
    /// Whether these slots' tokens can be drawn without the host: then <see cref="Draw"/> does it, else <see cref="Sample"/>. The same
    /// on every rank.
    /// </summary>
    public bool CanDraw(ReadOnlySpan<int> slots)
    {
        foreach (var slot in slots)
        {
            var settings = Begun(slot).Settings;
            var mayBeUnproven = _collective.Size > 1 && settings.HasFilters && !settings.IsGreedy;
            if (settings.LogProbs > 0 || mayBeUnproven)
            {
                return false;
            }
        }

        return _ops.IsRecordable;
    }

    /// <summary>
    /// Room for what the neediest of these slots' sequences must know; the same on every rank, and one of few: sizes are rounded up.
    /// </summary>
    public SummaryLayout LayoutOf(ReadOnlySpan<int> slots)
    {
        var layout = new SummaryLayout(1, 0, IsWhole: _collective.Size == 1);
        foreach (var slot in slots)
        {
            // One candidate more than top-k shows that the k-th has no further ties.
            var settings = Begun(slot).Settings;
            var needed = settings.IsGreedy || !settings.HasFilters ? 1
                : settings.TopK is >= UsualCandidates and < SamplerWorkspace.MaxCandidates
                    ? (int)BitOperations.RoundUpToPowerOf2((uint)settings.TopK + 1)
                : UsualCandidates;
            layout = layout with
            {
                Candidates = Math.Max(layout.Candidates, needed),
                LogProbs = Math.Max(layout.LogProbs, settings.LogProbs),
            };
        }

        return layout with { Candidates = Math.Min(layout.Candidates, Math.Max(1, _partColumns.Max())) };
    }

    /// <summary>
    /// Draws a token for each row, remembers it in <see cref="LastTokens"/> and leaves it in <see cref="Outcomes"/>: on the device
    /// alone, so that it can be recorded. <see cref="Advance"/> goes with every time that it runs.
    /// </summary>
    /// <param name="localLogits">F32 [L, local vocabulary]; not changed.</param>
    /// <param name="slots">I32 [1, L]: slots for which <see cref="CanDraw"/> is true, each at most once; −1: no sequence.</param>
    /// <param name="positions">I32 [1, L]: position that each row's new token will stand at.</param>
    /// <param name="layout">What <see cref="LayoutOf"/> says of the slots.</param>
    public void Draw(Tensor localLogits, Tensor slots, Tensor positions, SummaryLayout layout)
    {
        var rows = new SamplingRows(slots.Columns, slots, positions, _buffers.Settings, _buffers.Counts);
        var outcomes = _buffers.Tokens.ColumnsAt(0, rows.Count);
        Choose(localLogits, rows, layout, outcomes);
        _ops.Commit(outcomes, _own.Start, rows, LastTokens);
    }

    /// <summary>Notes that the slots' sequences have got the tokens of these positions.</summary>
    public void Advance(ReadOnlySpan<int> slots, ReadOnlySpan<int> positions)
    {
        CheckPositions(slots, positions);
        foreach (var slot in slots)
        {
            _slots[slot].Length++;
        }
    }

    /// <summary>
    /// The tokens in a copy of <see cref="Outcomes"/>. Throws <see cref="SamplingException"/> where a row's logits allowed no draw: its
    /// sequence is of no use any more.
    /// </summary>
    public SampledToken[] Tokens(ReadOnlySpan<int> outcomes, ReadOnlySpan<int> slots, ReadOnlySpan<int> positions)
    {
        ThrowIfNotDrawn(outcomes[..slots.Length], slots, positions);
        var tokens = new SampledToken[slots.Length];
        for (var row = 0; row < tokens.Length; row++)
        {
            tokens[row] = new SampledToken(slots[row], outcomes[row], null, []);
        }

        return tokens;
    }

    /// <summary>
    /// Draws one token a row, with the host's help where it is needed, appends it to its slot's history and writes it to <see
    /// cref="LastTokens"/>. Throws <see cref="SamplingException"/>, before any history changes, where a row's logits allow no draw.
    /// </summary>
    /// <param name="localLogits">F32 [L, local vocabulary]; not changed.</param>
    /// <param name="slots">Slot of each row, each at most once.</param>
    /// <param name="positions">
    /// Position that each row's new token will stand at: the number of tokens before it.
    /// </param>
    public IReadOnlyList<SampledToken> Sample(Tensor localLogits, ReadOnlySpan<int> slots, ReadOnlySpan<int> positions)
    {
        CheckStep(localLogits, slots, positions);
        if (slots.IsEmpty)
        {
            return [];
        }

        var rows = Upload(slots, positions);
        var layout = LayoutOf(slots);
        var outcomes = _buffers.Tokens.ColumnsAt(0, rows.Count);
        var summaries = Choose(localLogits, rows, layout, outcomes);
        var tokens = ReadInts(outcomes);
        if (tokens.AsSpan().Contains(ISamplingOps.Unproven))
        {
            DrawFromAll(localLogits, rows, tokens);
            tokens = ReadInts(outcomes);
        }

        var sampled = Tokens(tokens, slots, positions);
        if (layout.LogProbs > 0)
        {
            AddLogProbs(sampled, localLogits, summaries, layout);
        }

        _ops.Commit(outcomes, _own.Start, rows, LastTokens);
        Advance(slots, positions);
        return sampled;
    }

    public void Dispose() => _buffers.Dispose();

    /// <summary>Describes the logits, tells all ranks, and chooses; returns the summaries of all ranks.</summary>
    private Tensor Choose(Tensor localLogits, SamplingRows rows, SummaryLayout layout, Tensor outcomes)
    {
        var summary = _buffers.Summary(rows.Count, layout);
        var summaries = _buffers.Summaries(rows.Count, layout);
        _ops.Summarise(localLogits, _own.Start, rows, layout, summary);
        if (_collective.Size > 1)
        {
            Array.Fill(_summaryColumns, layout.Words);
            _collective.AllGatherColumns(summary, summaries, _summaryColumns);
        }

        _ops.Choose(summaries, _parts, rows, layout, outcomes);
        return summaries;
    }

    private void DrawFromAll(Tensor localLogits, SamplingRows rows, int[] outcomes)
    {
        for (var row = 0; row < outcomes.Length; row++)
        {
            if (outcomes[row] == ISamplingOps.Unproven)
            {
                GatheredRows++;
                _ops.Adjust(localLogits, _own.Start, rows, row, _buffers.OwnRow);
                if (_collective.Size > 1)
                {
                    _collective.AllGatherColumns(_buffers.OwnRow, _buffers.WholeRow, _partColumns);
                }

                _ops.ChooseFromAll(_buffers.WholeRow, rows, row, _buffers.Tokens.ColumnsAt(0, rows.Count));
            }
        }
    }

    private void AddLogProbs(SampledToken[] sampled, Tensor localLogits, Tensor summaries, SummaryLayout layout)
    {
        var picked = _buffers.Picked.ColumnsAt(0, sampled.Length);
        _ops.PickLogits(localLogits, _own.Start, _buffers.Tokens.ColumnsAt(0, sampled.Length), picked);
        _collective.AllReduceSum(picked);
        var logits = MemoryMarshal.Cast<int, float>(ReadInts(picked));
        var words = ReadInts(summaries);
        for (var row = 0; row < sampled.Length; row++)
        {
            var (slot, token) = (sampled[row].Slot, sampled[row].TokenId);
            if (_slots[slot].Settings.LogProbs is > 0 and var asked)
            {
                var summary = words.AsSpan(row * summaries.Columns, summaries.Columns);
                sampled[row] = LogProbabilities.Of(summary, layout, asked, slot, token, logits[row]);
            }
        }
    }

    private SamplingRows Upload(ReadOnlySpan<int> slots, ReadOnlySpan<int> positions)
    {
        var rowSlots = _buffers.Slots.ColumnsAt(0, slots.Length);
        var rowPositions = _buffers.Positions.ColumnsAt(0, slots.Length);
        _device.CopyToDevice(MemoryMarshal.AsBytes(slots), rowSlots.Buffer, rowSlots.OffsetBytes);
        _device.CopyToDevice(MemoryMarshal.AsBytes(positions), rowPositions.Buffer, rowPositions.OffsetBytes);
        return new SamplingRows(slots.Length, rowSlots, rowPositions, _buffers.Settings, _buffers.Counts);
    }

    private int[] ReadInts(Tensor tensor)
    {
        var values = new int[tensor.Rows * tensor.Columns];
        _device.CopyToHost(tensor.Buffer, tensor.OffsetBytes, MemoryMarshal.AsBytes(values.AsSpan()));
        return values;
    }

    private void Count(Tensor counts, ReadOnlySpan<int> tokens, bool generated)
    {
        for (var done = 0; done < tokens.Length; done += _buffers.Ids.Columns)
        {
            var chunk = tokens[done..Math.Min(done + _buffers.Ids.Columns, tokens.Length)];
            var ids = _buffers.Ids.ColumnsAt(0, chunk.Length);
            _device.CopyToDevice(MemoryMarshal.AsBytes(chunk), ids.Buffer, ids.OffsetBytes);
            _ops.CountTokens(counts, ids, _own.Start, generated);
        }
    }

    private SlotHistory Begun(int slot) =>
        slot >= 0 && slot < _slots.Length && _slots[slot].Start is not null
            ? _slots[slot]
            : throw new ArgumentException($"No sequence was begun in slot {slot}.", nameof(slot));

    private void CheckStep(Tensor localLogits, ReadOnlySpan<int> slots, ReadOnlySpan<int> positions)
    {
        if (positions.Length != slots.Length || slots.Length > _slots.Length || localLogits.DType != DType.F32
            || localLogits.Rows != slots.Length || localLogits.Columns != _own.Length)
        {
            throw new ArgumentException(
                $"{slots.Length} slots (at most {_slots.Length}) and {positions.Length} positions for "
                + $"{localLogits.DType} logits "
                + $"[{localLogits.Rows}, {localLogits.Columns}]; this rank has {_own.Length} tokens.",
                nameof(localLogits));
        }

        CheckPositions(slots, positions);
    }

    private void CheckPositions(ReadOnlySpan<int> slots, ReadOnlySpan<int> positions)
    {
        for (var row = 0; row < slots.Length; row++)
        {
            var length = Begun(slots[row]).Length;
            if (positions[row] != length)
            {
                throw new ArgumentException(
                    $"The sequence in slot {slots[row]} has {length} tokens, so its next one cannot stand at "
                    + $"position {positions[row]}.",
                    nameof(positions));
            }
        }
    }

    private void ThrowIfNotDrawn(ReadOnlySpan<int> tokens, ReadOnlySpan<int> slots, ReadOnlySpan<int> positions)
    {
        for (var row = 0; row < tokens.Length; row++)
        {
            if (tokens[row] == ISamplingOps.NotFinite)
            {
                throw new SamplingException(
                    $"The logits for position {positions[row]} of the sequence in slot {slots[row]} contain NaN or "
                    + "+infinity: "
                    + "the weights or the computation are broken, for example by an overflow in float16.");
            }

            if (tokens[row] < 0)
            {
                throw new SamplingException(
                    $"No token can be drawn for position {positions[row]} of the sequence in slot {slots[row]}: "
                    + "every logit is "
                    + $"-infinity or an end-of-sequence id banned by min_new_tokens "
                    + $"{_slots[slots[row]].Settings.MinNewTokens}.");
            }
        }
    }

    private static void CheckParts(ICollective collective, IReadOnlyList<IndexRange> parts, int rank)
    {
        var end = 0;
        foreach (var part in parts)
        {
            if (part.Start != end || part.End < part.Start)
            {
                throw new ArgumentException($"Vocabulary parts {string.Join(", ", parts)} leave gaps.", nameof(parts));
            }

            end = part.End;
        }

        if (parts.Count != collective.Size || rank != collective.Rank || end == 0)
        {
            throw new ArgumentException(
                $"{parts.Count} vocabulary parts with {end} tokens, rank {rank}, for rank {collective.Rank} of "
                + $"{collective.Size}.",
                nameof(parts));
        }
    }
}
