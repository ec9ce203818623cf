using TensorParallel.Coordinator.Hosting;
using TensorParallel.Coordinator.Planning;
using TensorParallel.Protocol.Parallel;
using Xunit;

namespace TensorParallel.Coordinator.Tests.Planning.Offloading;

public sealed class HostMemoryTests
{
    [Fact]
    public void WeightsThatAreMoreThanTheMachineHas_AreRefusedWithNumbers()
    {
        var plan = Planner.Plan(PlanCases.OnCpus(PlanCases.Public("llama-3.1-8b"), 2) with { Offload = new(OffloadKind.Group) });
        var host = plan.Ranks.Sum(rank => rank.Offload!.HostBytes);

        var refused = Assert.Throws<PlanException>(() => HostMemory.Check(plan, 10L << 30)).Message;

        Assert.Contains("Off the devices weights take 15.0 GiB of host memory (--offload)", refused, StringComparison.Ordinal);
        Assert.Contains("are 9.0 GiB: 6.0 GiB are missing", refused, StringComparison.Ordinal);
        HostMemory.Check(plan, host * 10 / 9 + 10);
    }
}
