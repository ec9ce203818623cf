using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Generation;
using TensorParallel.Protocol.Parallel;
using TensorParallel.TestKit;
using TensorParallel.Worker.Execution;
using TensorParallel.Worker.Sampling;
using Xunit;

namespace TensorParallel.Worker.Tests.Execution;

public class RunningAheadTests
{
    [Theory]
    [InlineData(1, false, true, 1)]
    [InlineData(2, false, false, 1)]
    [InlineData(2, false, true, 1)]
    [InlineData(3, true, true, 1)]
    [InlineData(2, true, true, 2)]
    [InlineData(3, true, true, 3)]
    [InlineData(4, true, true, 8)]
    public void Recorded_steps_that_run_ahead_give_the_same_tokens(int ranks, bool useDeviceMap, bool filters, int microBatches)
    {
        var recordings = new FirstIssueAgain[ranks];
        SteppingCases.Check(
            ranks, useDeviceMap, DType.F32, DeviceKinds.Cpu, device => device,
            device => new AheadDevice(device, () => recordings[device.Name[^1] - '0'] = new FirstIssueAgain()), filters, microBatches);
        Assert.All(recordings, recording =>
        {
            Assert.True(recording.Replayed > 64, $"{recording.Replayed} replays");
            Assert.InRange(recording.Keys, 2, 40);
        });
    }

    /// <summary>Acknowledgements go to the stage before, messages with tokens from the last of at least three stages to the first.</summary>
    [Theory]
    [InlineData(3, 3)]
    [InlineData(4, 1)]
    [InlineData(4, 8)]
    public void Stages_whose_rows_wait_for_their_receiver_never_wait_in_a_circle(int ranks, int microBatches) => SteppingCases.Check(
        ranks, useDeviceMap: true, DType.F32, DeviceKinds.Cpu, device => device,
        device => new AheadDevice(device, () => new IssuedEachTime()), filters: true, microBatches,
        (group, device) => new WaitingSends(group, device));

    [Fact]
    public void A_step_that_fails_says_so_when_it_is_finished_though_others_were_issued_after_it()
    {
        using var folder = new TemporaryFolder();
        TinyCheckpoint.Write(folder.Path, new TinyCheckpointOptions { Vocab = 20 });
        var plan = GroupRun.Plan(folder.Path, 1, DType.F32);
        var nothingAllowed = new SamplingParameters { MinNewTokens = 2, EosTokenIds = [.. Enumerable.Range(0, 20)] };
        var script = new StepScript(plan.Limits);
        script.Add(script.Prompt(0, [3, 4, 5]));
        script.Add(script.Prompt(3, [6], nothingAllowed), script.Continue(0));
        script.Add(script.Continue(0), script.Continue(3));
        GroupRun.OnEachRank(plan, (context, device) =>
        {
            var ahead = context with { Device = new AheadDevice(device, () => new FirstIssueAgain()) };
            using var model = WorkerModel.Load(folder.Path, plan, ahead);
            IPendingStep[] steps = [.. script.Steps.Select(model.Issue)];
            Assert.False(steps[0].IsDone);
            Assert.Single(steps[0].Finish().Tokens);
            var error = Assert.Throws<SamplingException>(() => steps[1].Finish());
            Assert.StartsWith("No token can be drawn for position 1 of the sequence in slot 3", error.Message, StringComparison.Ordinal);
        });
    }

    [Theory]
    [InlineData(1, 100, 1, 256)]
    [InlineData(3, 256, 4, 256)]
    [InlineData(9, 257, 16, 512)]
    [InlineData(17, 600, 24, 1000)]
    [InlineData(33, 1000, 48, 1000)]
    [InlineData(50, 1, 60, 256)]
    public void Sizes_are_rounded_up_within_the_limits(int rows, int context, int paddedRows, int paddedContext)
    {
        var limits = new StepLimits(64, 60, 1000, 16, 100);
        var shape = new StepShape(rows, rows, context, 1, 0, 0, null).RoundedUp(limits);
        Assert.Equal((paddedRows, paddedRows, paddedContext), (shape.Rows, shape.Sequences, shape.Context));
    }
}
