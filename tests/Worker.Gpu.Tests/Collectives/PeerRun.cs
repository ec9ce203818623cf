using TensorParallel.Worker.Collectives.PeerMemory;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Tests.Collectives;
using Xunit;

namespace TensorParallel.Worker.Gpu.Tests.Collectives;

/// <summary>Groups by peer memory whose ranks are threads with a GPU each.</summary>
internal static class PeerRun
{
    /// <summary>Joins, lets a body run on each rank, and gives what each threw.</summary>
    /// <param name="size">Ranks.</param>
    /// <param name="timeout">The group's.</param>
    /// <param name="choice">Which way calls go; null: as measured.</param>
    /// <param name="body">Runs on each rank.</param>
    public static Exception?[] Each(
        int size, TimeSpan timeout, PeerChoice? choice, Action<PeerMemoryCollective, CudaDevice> body)
    {
        Gpu.Need(size);
        var blob = new PeerMemoryBackend().CreateBootstrap(size, 0);
        return RankThreads.Each(size, rank =>
        {
            using var device = new CudaDevice(rank, poison: true);
            using var joined = new PeerMemoryBackend().Join(blob, rank, size, device, timeout);
            Assert.SkipWhen(joined is not PeerMemoryCollective, joined.Name);
            var collective = (PeerMemoryCollective)joined;
            collective.Choice = choice ?? collective.Choice;
            body(collective, device);
        });
    }

    /// <summary>The same; throws what any rank threw, a skip as a skip.</summary>
    public static void All(int size, PeerChoice? choice, Action<PeerMemoryCollective, CudaDevice> body)
    {
        var failures = Each(size, RankThreads.Timeout, choice, body).OfType<Exception>().ToList();
        if (failures.Count > 0)
        {
            throw failures.Count == size && failures[0].GetType().Name.Contains("Skip", StringComparison.Ordinal)
                ? failures[0]
                : new AggregateException(failures);
        }
    }
}
