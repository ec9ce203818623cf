using Microsoft.Extensions.Logging.Abstractions;
using TensorParallel.Coordinator.Workers;
using TensorParallel.FakeWorkers;
using Xunit;

namespace TensorParallel.Coordinator.Tests.Workers;

/// <summary>Memory reports and evictions over real sessions with a fake model.</summary>
public sealed class WorkerGroupMemoryTests
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(20);

    private readonly InProcessLauncher _launcher = new();

    [Fact]
    public async Task Ranks_report_their_memory_also_between_steps()
    {
        await using var group = await StartAsync(FakePlans.Options(2));
        var steps = Enumerable.Range(0, 50).Select(step => group.StepAsync(FakePlans.Step(step))).ToArray();
        var reports = await group.MemoryAsync(resetPeaks: false).WaitAsync(s_patience);
        await Task.WhenAll(steps).WaitAsync(s_patience);

        Assert.Equal([0, 1], reports.Select(rank => rank.Rank));
        Assert.Equal(new RankMemory("Weights", 901, 1001), Assert.Single(reports[1].Uses));
        Assert.Equal((8000, 7000, 50), (reports[0].DeviceTotal, reports[0].DeviceFree, reports[0].Pinned));
        Assert.All(reports, rank => Assert.InRange(rank.Resident, 1 << 20, rank.PeakResident));

        var reset = await group.MemoryAsync(resetPeaks: true).WaitAsync(s_patience);
        Assert.Equal(new RankMemory("Weights", 901, 901), Assert.Single(reset[1].Uses));
    }

    [Fact]
    public async Task A_group_is_evicted_and_comes_back()
    {
        await using var group = await StartAsync(FakePlans.Options(2));
        var evicted = await group.EvictAsync().WaitAsync(s_patience);
        Assert.Equal((200, 120, 100), (evicted.DeviceBytes, evicted.CopiedBytes, evicted.PinnedBytes));
        Assert.All(await group.MemoryAsync(resetPeaks: false).WaitAsync(s_patience), rank => Assert.True(rank.IsEvicted));
        Assert.Equal(200, (await group.RestoreAsync().WaitAsync(s_patience)).DeviceBytes);
        Assert.Equal(3, (await group.StepAsync(FakePlans.Step(0)).WaitAsync(s_patience)).Tokens[0].TokenId);
    }

    [Fact]
    public async Task A_step_while_it_is_evicted_is_the_loss_of_the_group()
    {
        await using var group = await StartAsync(FakePlans.Options(2));
        await group.EvictAsync().WaitAsync(s_patience);
        var lost = await Assert.ThrowsAsync<WorkerLostException>(() => group.StepAsync(FakePlans.Step(0)).WaitAsync(s_patience));
        Assert.Contains("while the model is evicted", lost.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_group_that_is_gone_answers_nothing()
    {
        var group = await StartAsync(FakePlans.Options(1));
        await group.DisposeAsync();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => group.MemoryAsync(resetPeaks: false).WaitAsync(s_patience));
    }

    private async Task<WorkerGroup> StartAsync(WorkerGroupOptions options) => await new WorkerGroupFactory(
        options, _launcher, new Progress<LoadProgress>(), NullLoggerFactory.Instance).StartGroupAsync(CancellationToken.None);
}
