using TensorParallel.Protocol.Parallel;
using TensorParallel.Worker.Collectives;
using Xunit;

namespace TensorParallel.Worker.Tests.Collectives;

/// <summary>Runs the ranks of a group as threads of this process.</summary>
internal static class RankThreads
{
    internal static readonly TimeSpan Timeout = TimeSpan.FromSeconds(20);

    /// <summary>
    /// Joins every rank, runs <paramref name="body"/> on each and returns what each returned, in rank order.
    /// </summary>
    public static T[] Run<T>(string backend, int size, long maxMessageBytes, Func<ICollective, HostDevice, T> body)
    {
        var rankZero = CollectiveCatalog.Create(backend);
        var blob = rankZero.CreateBootstrap(size, maxMessageBytes);
        var results = new T[size];
        var failures = Each(size, rank =>
        {
            var ranksBackend = rank == 0 ? rankZero : CollectiveCatalog.Create(backend);
            using var device = new HostDevice();
            using var collective = ranksBackend.Join(blob, rank, size, device, Timeout);
            results[rank] = body(collective, device);
        });
        (rankZero as IDisposable)?.Dispose();
        if (failures.OfType<Exception>().Any())
        {
            throw new AggregateException(failures.OfType<Exception>());
        }

        return results;
    }

    /// <summary>Runs a body on one thread a rank; returns what each threw, or null.</summary>
    public static Exception?[] Each(int size, Action<int> body)
    {
        var failures = new Exception?[size];
        var threads = Enumerable.Range(0, size).Select(rank => new Thread(() =>
        {
            failures[rank] = Record.Exception(() => body(rank));
        })).ToArray();
        Array.ForEach(threads, t => t.Start());
        Array.ForEach(threads, t => t.Join());
        return failures;
    }

    /// <summary>Names of the backends that join devices in host memory, for theories.</summary>
    public static IEnumerable<string> Backends => [DeviceKinds.CollectiveBackend(DeviceKinds.Cpu)];
}
