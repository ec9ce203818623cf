using TensorParallel.Coordinator.Workers;
using TensorParallel.Protocol.Generation;
using TensorParallel.Protocol.Wire;
using Xunit;

namespace TensorParallel.Coordinator.Tests.Workers;

public sealed class StepLedgerTests
{
    private readonly StepLedger _ledger = new(3, TimeProvider.System);

    [Fact]
    public void A_step_is_done_when_every_rank_has_answered_in_any_interleaving()
    {
        var seed = Random.Shared.Next();
        var random = new Random(seed);
        var steps = Enumerable.Range(0, 50).Select(step => _ledger.Add(step)).ToArray();
        var next = new int[3];
        while (next.Any(step => step < steps.Length))
        {
            var rank = random.Next(3);
            if (next[rank] < steps.Length)
            {
                _ledger.Answer(rank, new StepResult(next[rank]++, [], rank));
                var done = next.Min();
                Assert.True(
                    steps.Take(done).All(step => step.IsCompletedSuccessfully)
                        && !steps.Skip(done).Any(step => step.IsCompleted),
                    $"seed {seed}: {string.Join(' ', next)}");
            }
        }

        Assert.Null(_ledger.Oldest());
    }

    [Fact]
    public void Only_the_answer_that_is_due_is_taken()
    {
        Assert.Throws<WireException>(() => _ledger.Answer(0, new StepResult(1, [], 0)));
        _ = _ledger.Add(1);
        _ledger.Answer(0, new StepResult(1, [], 0));

        Assert.Throws<WireException>(() => _ledger.Answer(0, new StepResult(1, [], 0)));
        Assert.Throws<WireException>(() => _ledger.Answer(1, new StepResult(2, [], 0)));
    }

    [Fact]
    public void Two_ranks_that_report_tokens_are_refused()
    {
        _ = _ledger.Add(1);
        _ledger.Answer(0, new StepResult(1, [new SampledToken(0, 1, null, [])], 0));

        Assert.Throws<WireException>(() => _ledger.Answer(1, new StepResult(1, [new SampledToken(0, 1, null, [])], 0)));
    }

    [Fact]
    public void The_oldest_step_names_a_rank_that_has_not_answered()
    {
        _ = _ledger.Add(4);
        _ = _ledger.Add(5);
        _ledger.Answer(0, new StepResult(4, [], 0));
        _ledger.Answer(0, new StepResult(5, [], 0));
        _ledger.Answer(2, new StepResult(4, [], 0));

        var wait = _ledger.Oldest()!.Value;

        Assert.Equal((4, 1), (wait.Step, wait.Rank));
    }

    [Fact]
    public async Task Failure_reaches_pending_and_later_steps()
    {
        var pending = _ledger.Add(1);
        var failure = new WorkerLostException(1, "gone");

        _ledger.Fail(failure);
        _ledger.Fail(new WorkerLostException(2, "later"));

        Assert.Same(failure, await Assert.ThrowsAsync<WorkerLostException>(() => pending));
        Assert.Same(failure, await Assert.ThrowsAsync<WorkerLostException>(() => _ledger.Add(2)));
    }
}
