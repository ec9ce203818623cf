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
    /// <param name="timeout">The group's, once it is joined: to join may take longer where other tests run beside it.</param>
    /// <param name="choice">Which way calls go; null: as measured.</param>
    /// <param name="body">Runs on each rank.</param>
    public static Exception?[] Each(
        int size, TimeSpan timeout, PeerChoice? choice, Action<PeerMemoryCollective, CudaDevice> body)
    {
        Gpu.Need(size);
        var blob = new PeerMemoryBackend().CreateBootstrap(size, 0);
        string? unreachable = null;
        var failures = RankThreads.Each(size, rank =>
        {
            using var device = new CudaDevice(rank, poison: true);
            using var joined = new PeerMemoryBackend().Join(blob, rank, size, device, RankThreads.Timeout);
            if (joined is not PeerMemoryCollective collective)
            {
                unreachable = joined.Name;
                return;
            }

            collective.Choice = choice ?? collective.Choice;
            collective.Timeout = timeout;
            body(collective, device);
        });

        // Where GPUs cannot reach each other there is nothing to test; any other reason is a failure.
        Assert.SkipWhen(unreachable?.Contains("no peer access", StringComparison.Ordinal) == true, unreachable ?? string.Empty);
        Assert.Null(unreachable);
        return failures;
    }

    /// <summary>The same; throws what any rank threw.</summary>
    public static void All(int size, PeerChoice? choice, Action<PeerMemoryCollective, CudaDevice> body)
    {
        if (Each(size, RankThreads.Timeout, choice, body).OfType<Exception>().ToList() is { Count: > 0 } failures)
        {
            throw new AggregateException(failures);
        }
    }
}
