using TensorParallel.Protocol.Generation;

namespace TensorParallel.Worker.Tests.Execution;

/// <summary>
/// Writes steps as an engine would: keeps positions, hands out KV blocks (in a scattered order, so that nothing works
/// by luck) and numbers the steps.
/// </summary>
internal sealed class StepScript
{
    private readonly StepLimits _limits;
    private readonly Queue<int> _free;
    private readonly Dictionary<int, (int Position, List<int> Blocks)> _slots = [];
    private readonly List<StepBatch> _steps = [];

    public StepScript(StepLimits limits)
    {
        _limits = limits;
        var order = Enumerable.Range(0, limits.KvBlocks).ToArray();
        new Random(3).Shuffle(order);
        _free = new Queue<int>(order);
    }

    public IReadOnlyList<StepBatch> Steps => _steps;

    public void Add(params StepSequence[] sequences) => _steps.Add(new StepBatch(_steps.Count + 1, sequences));

    /// <summary>First chunk of a prompt.</summary>
    public StepSequence Start(
        int slot, int promptTokens, int[] tokens, bool sample, SamplingParameters? sampling = null)
    {
        if (_slots.Remove(slot, out var old))
        {
            old.Blocks.ForEach(_free.Enqueue);
        }

        _slots[slot] = (0, []);
        var start = new SequenceStart(promptTokens, sampling ?? new SamplingParameters());
        return Rows(slot, start, tokens, tokens.Length, sample);
    }

    /// <summary>A whole prompt.</summary>
    public StepSequence Prompt(int slot, int[] tokens, SamplingParameters? sampling = null) =>
        Start(slot, tokens.Length, tokens, sample: true, sampling);

    /// <summary>Another chunk, or a token that is given instead of sampled.</summary>
    public StepSequence Tokens(int slot, int[] tokens, bool sample) => Rows(slot, null, tokens, tokens.Length, sample);

    /// <summary>One row, whose token is the last sampled one.</summary>
    public StepSequence Continue(int slot) => Rows(slot, null, [], 1, sample: true);

    private StepSequence Rows(int slot, SequenceStart? start, int[] tokens, int rows, bool sample)
    {
        var (position, blocks) = _slots[slot];
        var fresh = new List<int>();
        while ((blocks.Count + fresh.Count) * _limits.KvBlockTokens < position + rows)
        {
            fresh.Add(_free.Dequeue());
        }

        blocks.AddRange(fresh);
        _slots[slot] = (position + rows, blocks);
        return new StepSequence(slot, start, position, tokens, fresh, sample);
    }
}
