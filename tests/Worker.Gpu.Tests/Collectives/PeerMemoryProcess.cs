using System.Diagnostics;
using System.Globalization;
using System.Runtime.CompilerServices;
using TensorParallel.Worker.Collectives.PeerMemory;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Tests.Collectives;

namespace TensorParallel.Worker.Gpu.Tests.Collectives;

/// <summary>
/// A rank in a process of its own: this test program started again with a variable in its environment, which makes it run one rank
/// instead of tests. It writes one line: a hash of its results, an error, or the name of a
/// group without peer memory.
/// </summary>
internal static class PeerMemoryProcess
{
    private const string Variable = "TENSOR_PARALLEL_TEST_PEER_MEMORY";

    /// <summary>Starts a rank.</summary>
    /// <param name="rank">Its rank, and its GPU.</param>
    /// <param name="size">Ranks.</param>
    /// <param name="calls">Calls of the <see cref="CollectiveScript"/> to make.</param>
    /// <param name="killAt">Calls after which it kills itself; −1: never.</param>
    /// <param name="seconds">The group's timeout.</param>
    /// <param name="blob">The bootstrap blob.</param>
    public static Process Start(int rank, int size, int calls, int killAt, int seconds, string blob)
    {
        var program = Environment.ProcessPath!;
        var start = new ProcessStartInfo(program)
        {
            RedirectStandardOutput = true,
            Environment = { [Variable] = string.Join(' ', [rank, size, calls, killAt, seconds, blob]) },
        };
        if (Path.GetFileNameWithoutExtension(program) == "dotnet")
        {
            start.ArgumentList.Add(typeof(PeerMemoryProcess).Assembly.Location);
        }

        return Process.Start(start)!;
    }

    [ModuleInitializer]
    internal static void RunAsPeer()
    {
        if (Environment.GetEnvironmentVariable(Variable) is { } text)
        {
            var parts = text.Split(' ');
            var numbers = parts[..5].Select(n => int.Parse(n, CultureInfo.InvariantCulture)).ToArray();
            RunRank(numbers[0], numbers[1], numbers[2], numbers[3], TimeSpan.FromSeconds(numbers[4]), Convert.FromBase64String(parts[5]));
            Environment.Exit(0);
        }
    }

    private static void RunRank(int rank, int size, int calls, int killAt, TimeSpan timeout, byte[] blob)
    {
        try
        {
            using var device = new CudaDevice(rank);
            using var collective = new PeerMemoryBackend().Join(blob, rank, size, device, timeout);
            if (collective is not PeerMemoryCollective)
            {
                Console.WriteLine(collective.Name);
                return;
            }

            var script = new CollectiveScript(collective, new DeviceTensors(device), 7, 10_000, sumsInRankOrder: false);
            if (killAt >= 0)
            {
                script.Run(killAt);
                Process.GetCurrentProcess().Kill();
            }

            Console.WriteLine(Checked(script, collective, calls));
        }
        catch (Exception e)
        {
            Console.WriteLine(e.GetType().Name + ": " + e.Message);
        }
    }

    // Numbers that a failed call left are wrong: the failure goes first.
    private static string Checked(CollectiveScript script, Worker.Collectives.ICollective collective, int calls)
    {
        try
        {
            return script.Run(calls);
        }
        catch (InvalidOperationException)
        {
            collective.ThrowIfFailed();
            throw;
        }
    }
}
