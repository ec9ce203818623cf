using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.TestKit;
using TensorParallel.Worker.Execution;
using Xunit;

namespace TensorParallel.Worker.Tests.Execution;

public class GroupMessagesTests
{
    [Fact]
    public void TheLargestMessageIsTheWidestBufferOrTheSummaries()
    {
        using var folder = new TemporaryFolder();
        TinyCheckpoint.Write(folder.Path, new TinyCheckpointOptions { Hidden = 512, Intermediate = 16 });
        var spec = ArchitectureCatalog.Describe(Checkpoint.Open(folder.Path).Config);
        var plan = GroupRun.Plan(folder.Path, 2, DType.BF16);
        Assert.Equal(80 * 512 * 4, GroupMessages.MaxBytes(spec, plan, DType.F32));
        Assert.Equal(80 * 512 * 2, GroupMessages.MaxBytes(spec, plan, DType.BF16));
        var narrow = plan with { Limits = plan.Limits with { MaxStepTokens = 5 } };
        Assert.Equal(5 * 2 * 561 * 4, GroupMessages.MaxBytes(spec, narrow, DType.F32));
    }
}
