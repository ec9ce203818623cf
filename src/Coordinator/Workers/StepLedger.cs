using TensorParallel.Protocol.Generation;
using TensorParallel.Protocol.Wire;

namespace TensorParallel.Coordinator.Workers;

/// <summary>
/// Steps sent and not yet answered by every rank. Ranks answer in order, so steps complete in order. Thread-safe.
/// </summary>
internal sealed class StepLedger(int ranks, TimeProvider time)
{
    private readonly Lock _gate = new();
    private readonly Queue<Pending> _pending = new();
    private Exception? _failure;
    private long _headSince;

    /// <summary>A step is being sent; the task completes with its result, or faults once the group is lost.</summary>
    public Task<StepResult> Add(long step)
    {
        lock (_gate)
        {
            if (_failure is not null)
            {
                return Task.FromException<StepResult>(_failure);
            }

            if (_pending.Count == 0)
            {
                _headSince = time.GetTimestamp();
            }

            var pending = new Pending(step, ranks);
            _pending.Enqueue(pending);
            return pending.Result.Task;
        }
    }

    /// <summary>
    /// A rank's answer; throws <see cref="WireException"/> when it is not the answer due from this rank.
    /// </summary>
    public void Answer(int rank, StepResult result)
    {
        Pending? due;
        lock (_gate)
        {
            due = _pending.FirstOrDefault(pending => !pending.Answered[rank]);
            if (due?.Step != result.Step)
            {
                throw new WireException(due is null
                    ? $"It answered step {result.Step}, which was not asked."
                    : $"It answered step {result.Step} when {due.Step} was due.");
            }

            due.Accept(rank, result);
            if (due.Missing > 0)
            {
                return;
            }

            _pending.Dequeue();
            _headSince = time.GetTimestamp();
        }

        due.Result.SetResult(due.Merged());
    }

    /// <summary>Faults everything pending and everything added later.</summary>
    public void Fail(Exception failure)
    {
        Pending[] left;
        lock (_gate)
        {
            _failure ??= failure;
            left = [.. _pending];
            _pending.Clear();
        }

        Array.ForEach(left, pending => pending.Result.SetException(_failure));
    }

    /// <summary>The step that ranks are working on; null when idle.</summary>
    public StepWait? Oldest()
    {
        lock (_gate)
        {
            return _pending.TryPeek(out var head)
                ? new StepWait(head.Step, time.GetElapsedTime(_headSince), Array.IndexOf(head.Answered, false))
                : null;
        }
    }

    private sealed class Pending(long step, int ranks)
    {
        private IReadOnlyList<SampledToken> _tokens = [];
        private int _reporter = -1;
        private long _microseconds;

        public long Step { get; } = step;

        public bool[] Answered { get; } = new bool[ranks];

        public int Missing { get; private set; } = ranks;

        // Whoever waits goes on at once, on the thread that took the last answer in: see IWorkerGroup.StepAsync.
        public TaskCompletionSource<StepResult> Result { get; } = new();

        public void Accept(int rank, StepResult result)
        {
            if (result.Tokens.Count > 0)
            {
                if (_reporter >= 0)
                {
                    throw new WireException(
                        $"It reported tokens of step {Step}, as rank {_reporter} did; one rank reports.");
                }

                _reporter = rank;
                _tokens = result.Tokens;
            }

            Answered[rank] = true;
            Missing--;
            _microseconds = Math.Max(_microseconds, result.ComputeMicroseconds);
        }

        public StepResult Merged() => new(Step, _tokens, _microseconds);
    }
}
