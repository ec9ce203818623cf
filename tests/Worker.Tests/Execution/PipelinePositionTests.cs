using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;
using TensorParallel.TestKit;
using TensorParallel.Worker.Execution;
using Xunit;

namespace TensorParallel.Worker.Tests.Execution;

public class PipelinePositionTests
{
    [Fact]
    public void TensorParallelRanksAreFirstAndLast()
    {
        var plan = GroupRun.Plan(RepositoryPaths.Golden("llama"), 2, DType.F32);
        Assert.Equal(new PipelinePosition(false, null, null, 0, 0, true), PipelinePosition.Of(plan, 0));
        Assert.Equal(new PipelinePosition(false, null, null, 1, 1, false), PipelinePosition.Of(plan, 1));
    }

    [Fact]
    public void RowsGoFromRankToRankPastThoseThatHoldNothing()
    {
        var plan = GroupRun.Plan(RepositoryPaths.Golden("llama"), 5, DType.F32, useDeviceMap: true);
        Assert.Equal(new PipelinePosition(false, null, 1, 0, 2, false), PipelinePosition.Of(plan, 0));
        Assert.Equal(new PipelinePosition(false, 0, 2, 0, 2, false), PipelinePosition.Of(plan, 1));
        Assert.Equal(new PipelinePosition(false, 1, null, 0, 2, true), PipelinePosition.Of(plan, 2));
        Assert.True(PipelinePosition.Of(plan, 3).IsIdle);
        Assert.True(PipelinePosition.Of(plan, 4).IsIdle);
    }

    [Fact]
    public void OrderFollowsLayersNotRankNumbers()
    {
        var plan = GroupRun.Plan(RepositoryPaths.Golden("llama"), 2, DType.F32, useDeviceMap: true);
        var (first, last) = (plan.Ranks[0], plan.Ranks[1]);
        plan = plan with { Ranks = [last with { Rank = 0 }, first with { Rank = 1 }] };
        Assert.Equal(new PipelinePosition(false, null, 0, 1, 0, false), PipelinePosition.Of(plan, 1));
        Assert.Equal(new PipelinePosition(false, 1, null, 1, 0, true), PipelinePosition.Of(plan, 0));
    }

    [Fact]
    public void ABrokenChainIsAnError()
    {
        var plan = GroupRun.Plan(RepositoryPaths.Golden("llama"), 3, DType.F32, useDeviceMap: true);
        AssertBroken(plan.Ranks[1] with { Layers = new IndexRange(0, 1) });
        AssertBroken(plan.Ranks[1] with { HasOutputHead = true });
        AssertBroken(plan.Ranks[1] with { HasEmbedding = true });

        void AssertBroken(RankPlan rank)
        {
            var broken = plan with { Ranks = [plan.Ranks[0], rank, plan.Ranks[2]] };
            var error = Assert.Throws<PlanException>(() => PipelinePosition.Of(broken, 0));
            Assert.Contains("not one chain", error.Message, StringComparison.Ordinal);
        }
    }
}
