using System.Threading.Channels;
using TensorParallel.Coordinator.Workers;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Generation;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Tests.Engine;

/// <summary>
/// A worker group in memory that computes <see cref="FakeModel"/> and checks each step as a suspicious worker would:
/// positions without gaps, blocks that cover them, no block or slot of a sequence that a step in flight still uses, all
/// limits.
/// </summary>
internal sealed class FakeWorkerGroup : IWorkerGroup
{
    private readonly Lock _lock = new();
    private readonly Dictionary<int, FakeSlot> _slots = [];
    private readonly Dictionary<int, FakeSlot> _blockOwners = [];
    private readonly List<(StepBatch Batch, List<FakeSlot> Slots, TaskCompletionSource<StepResult> Answer)> _pending =
        [];

    private readonly TaskCompletionSource<WorkerLostException> _lost =
        new(TaskCreationOptions.RunContinuationsAsynchronously);

    private readonly Channel<StepBatch> _sent = Channel.CreateUnbounded<StepBatch>();
    private readonly Func<StepBatch, Task> _pace;
    private Task _previous = Task.CompletedTask;
    private long _nextStep;

    /// <param name="limits">Sizes to check against.</param>
    /// <param name="pace">A step is answered when its task is complete, and all earlier steps are answered.</param>
    /// <param name="stages">Stages of a device map; 1: tensor parallel.</param>
    public FakeWorkerGroup(StepLimits limits, Func<StepBatch, Task> pace, int stages = 1)
    {
        Limits = limits;
        _pace = pace;
        Plan = stages == 1
            ? new ExecutionPlan(PlanMode.TensorParallel, 2, [], null, DType.F32, limits, [], [])
            : new ExecutionPlan(PlanMode.DeviceMap, stages, [], null, DType.F32, limits, [.. Enumerable.Range(0, stages).Select(Stage)], []);
    }

    public StepLimits Limits { get; }

    public ExecutionPlan Plan { get; }

    public Task<WorkerLostException> Lost => _lost.Task;

    public bool Disposed { get; private set; }

    /// <summary>What was wrong with the steps; empty at the end of every test.</summary>
    public List<string> Violations { get; } = [];

    /// <summary>Every step in order, readable as it is sent.</summary>
    public ChannelReader<StepBatch> Sent => _sent.Reader;

    /// <summary>Most steps that were unanswered at a time.</summary>
    public int MostInFlight { get; private set; }

    public Task<StepResult> StepAsync(StepBatch batch)
    {
        lock (_lock)
        {
            if (_lost.Task.IsCompleted)
            {
                return Task.FromException<StepResult>(_lost.Task.Result);
            }

            Check(batch.Step == _nextStep++, $"step {batch.Step} is out of order");
            CheckLimits(batch);
            var slots = new List<FakeSlot>();
            var tokens = new List<SampledToken>();
            foreach (var entry in batch.Sequences)
            {
                var slot = Place(entry);
                slots.Add(slot);
                if (entry.Sample)
                {
                    tokens.Add(Sample(entry.Slot, slot));
                }
            }

            var answer = new TaskCompletionSource<StepResult>(TaskCreationOptions.RunContinuationsAsynchronously);
            _pending.Add((batch, slots, answer));
            MostInFlight = Math.Max(MostInFlight, _pending.Count);
            _previous = AnswerAsync(_previous, batch, new StepResult(batch.Step, tokens, 1));
            _sent.Writer.TryWrite(batch);
            return answer.Task;
        }
    }

    /// <summary>Loses a rank: all pending and later steps fail.</summary>
    public void Lose(int rank)
    {
        lock (_lock)
        {
            var reason = new WorkerLostException(rank, $"Worker {rank} (fake) was killed.");
            _lost.TrySetResult(reason);
            _pending.ForEach(pending => pending.Answer.SetException(reason));
            _pending.Clear();
        }
    }

    private static RankPlan Stage(int rank) => new(
        rank, $"cpu:{rank}", 0, 0, 0, new IndexRange(rank, rank + 1), rank == 0, false, new IndexRange(0, 1), new IndexRange(0, 1), []);

    public ValueTask DisposeAsync()
    {
        Disposed = true;
        Lose(0);
        return ValueTask.CompletedTask;
    }

    private async Task AnswerAsync(Task previous, StepBatch batch, StepResult result)
    {
        await previous;
        var pace = _pace(batch);
        await pace.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        lock (_lock)
        {
            if (_pending.Count == 0 || _pending[0].Batch != batch)
            {
                return;
            }

            var answer = _pending[0].Answer;
            _pending.RemoveAt(0);
            if (pace.Exception?.InnerException is { } failure)
            {
                answer.SetException(failure);
            }
            else
            {
                answer.SetResult(result);
            }
        }
    }

    private void CheckLimits(StepBatch batch)
    {
        Check(batch.Sequences.Count > 0, "an empty step");
        Check(batch.Sequences.Count <= Limits.MaxSequences, "too many sequences");
        Check(batch.Sequences.Sum(entry => entry.Rows) <= Limits.MaxStepTokens, "too many rows");
        Check(batch.Sequences.Select(entry => entry.Slot).Distinct().Count() == batch.Sequences.Count, "a slot twice");
        Check(batch.Sequences.All(entry => (uint)entry.Slot < (uint)Limits.MaxSequences), "a slot that does not exist");
    }

    private FakeSlot Place(StepSequence entry)
    {
        if (entry.Start is { } start)
        {
            if (_slots.TryGetValue(entry.Slot, out var old))
            {
                CheckUnused(old, $"slot {entry.Slot}");
                old.Blocks.Where(block => IsOwner(block, old)).ToList().ForEach(block => _blockOwners.Remove(block));
            }

            _slots[entry.Slot] = new FakeSlot(start);
        }

        var slot = _slots[entry.Slot];
        foreach (var block in entry.NewBlocks)
        {
            TakeBlock(block, slot);
        }

        Check(slot.Blocks.TrueForAll(block => IsOwner(block, slot)), $"slot {entry.Slot} goes on without its blocks");
        Check(entry.Position == slot.ComputedRows, $"position {entry.Position} after {slot.ComputedRows} rows");
        Check(entry.Tokens.Count > 0 == slot.ComputedRows < slot.Start.PromptTokens,
            "prompt rows and continued rows are mixed up");
        slot.History.AddRange(entry.Tokens);
        slot.ComputedRows += entry.Rows;
        Check(slot.ComputedRows <= slot.History.Count, "a row whose token is unknown");
        Check(slot.ComputedRows < Limits.MaxContextTokens, "rows beyond the context");
        Check(slot.Blocks.Count * Limits.KvBlockTokens >= slot.ComputedRows, "rows without blocks");
        Check(entry.Sample == slot.ComputedRows >= slot.Start.PromptTokens,
            "a sample in the middle of a prompt, or none after it");
        return slot;
    }

    private void TakeBlock(int block, FakeSlot slot)
    {
        Check((uint)block < (uint)Limits.KvBlocks, $"block {block} does not exist");
        if (_blockOwners.TryGetValue(block, out var owner))
        {
            CheckUnused(owner, $"block {block}");
        }

        _blockOwners[block] = slot;
        slot.Blocks.Add(block);
    }

    private bool IsOwner(int block, FakeSlot slot) => _blockOwners.TryGetValue(block, out var owner) && owner == slot;

    private void CheckUnused(FakeSlot owner, string what) => Check(
        !_pending.Exists(pending => pending.Slots.Contains(owner)), $"{what} is reused while a step in flight uses it");

    private static SampledToken Sample(int number, FakeSlot slot)
    {
        var sampling = slot.Start.Sampling;
        var id = FakeModel.Next(slot.History, slot.Generated, sampling);
        slot.History.Add(id);
        var best = Enumerable.Range(0, sampling.LogProbs)
            .Select(rank => new TokenLogProb((id + rank) % FakeModel.VocabularySize, -1f - rank));
        return new SampledToken(number, id, sampling.LogProbs > 0 ? -1f : null, [.. best]);
    }

    private void Check(bool holds, string violation)
    {
        if (!holds)
        {
            Violations.Add(violation);
        }
    }
}
