using TensorParallel.Protocol.Generation;
using TensorParallel.Worker.Execution;
using TensorParallel.Worker.Session;
using Xunit;

namespace TensorParallel.Worker.Tests.Session;

public sealed class StepAnswersTests : IDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(20);

    private readonly ComputeThread _compute = new(0);
    private readonly List<long> _answered = [];
    private readonly StepAnswers _answers;

    public StepAnswersTests() => _answers = new StepAnswers(_compute, result => _answered.Add(result.Step));

    public void Dispose() => _compute.Dispose();

    [Fact]
    public async Task Steps_that_are_done_are_answered_at_once()
    {
        await OnCompute(() =>
        {
            _answers.Add(new Step(1, done: true));
            Assert.Equal([1], _answered);
            _answers.Add(new Step(2, done: true));
            Assert.Equal([1, 2], _answered);
        });
    }

    [Fact]
    public async Task Steps_are_answered_in_order_when_they_are_done_while_others_are_issued()
    {
        var (first, second, third) = (new Step(1), new Step(2), new Step(3));
        await OnCompute(() =>
        {
            _answers.Add(first);
            _answers.Add(second);
        });
        second.SetDone(); // not its turn
        await OnCompute(() =>
        {
            _answers.Add(third);
            Assert.Empty(_answered);
        });
        first.SetDone();
        await first.Finished.WaitAsync(s_patience);
        await second.Finished.WaitAsync(s_patience);
        await OnCompute(() => Assert.Equal([1, 2], _answered));
        third.SetDone();
        await third.Finished.WaitAsync(s_patience);
        await OnCompute(() => Assert.Equal([1, 2, 3], _answered));
    }

    [Fact]
    public async Task Closing_answers_what_is_left_after_the_thread_takes_no_more_work()
    {
        var (first, second) = (new Step(1), new Step(2));
        await OnCompute(() =>
        {
            _answers.Add(first);
            _answers.Add(second);
        });
        _compute.Post(_answers.Close);
        _compute.Complete();
        first.SetDone();
        second.SetDone();
        await _compute.Ended.WaitAsync(s_patience);
        Assert.Equal([1, 2], _answered);
    }

    [Fact]
    public async Task What_went_wrong_in_a_step_ends_the_compute_thread()
    {
        var step = new Step(1, failure: new InvalidDataException("broken"));
        await OnCompute(() => _answers.Add(step));
        step.SetDone();
        var error = await Assert.ThrowsAsync<InvalidDataException>(() => _compute.Ended.WaitAsync(s_patience));
        Assert.Equal("broken", error.Message);
    }

    private async Task OnCompute(Action action)
    {
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _compute.Post(() =>
        {
            var error = Record.Exception(action);
            if (error is null)
            {
                done.SetResult();
            }
            else
            {
                done.SetException(error);
            }
        });
        await done.Task.WaitAsync(s_patience);
    }

    private sealed class Step(long number, bool done = false, Exception? failure = null) : IPendingStep
    {
        private readonly TaskCompletionSource _done = done ? Completed() : New();
        private readonly TaskCompletionSource _finished = New();

        public Task Finished => _finished.Task;

        public bool IsDone => _done.Task.IsCompleted;

        public void SetDone() => _done.SetResult();

        public void Wait() => _done.Task.GetAwaiter().GetResult();

        public StepResult Finish()
        {
            Wait();
            _finished.TrySetResult();
            return failure is null ? new StepResult(number, [], 1) : throw failure;
        }

        private static TaskCompletionSource New() => new(TaskCreationOptions.RunContinuationsAsynchronously);

        private static TaskCompletionSource Completed()
        {
            var completed = New();
            completed.SetResult();
            return completed;
        }
    }
}
