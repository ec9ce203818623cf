using System.Diagnostics;
using TensorParallel.Worker.Collectives.PeerMemory;
using Xunit;

namespace TensorParallel.Worker.Gpu.Tests.Collectives;

/// <summary>Groups whose ranks are processes, as in service: their memory is shared by CUDA IPC.</summary>
public sealed class PeerMemoryProcessTests
{
    [Theory]
    [InlineData(2)]
    [InlineData(4)]
    [InlineData(8)]
    public void Processes_agree_on_random_mixed_calls(int size)
    {
        var lines = Run(size, 200, killed: -1, seconds: 20);
        SkipUnreachable(lines);
        Assert.Single(lines.Distinct());
        Assert.Matches("^[0-9A-F]{64}$", lines[0]);
    }

    [Fact]
    public void A_killed_process_is_noticed_within_the_timeout()
    {
        var began = Stopwatch.GetTimestamp();
        var lines = Run(2, 200, killed: 1, seconds: 4);
        SkipUnreachable(lines);
        Assert.Empty(lines[1]);
        Assert.Matches("^CollectiveException: Rank 0 of 2 waited [0-9.]+ s for (rank 1|its peers) in [A-Za-z]+, call [0-9]+\\.$", lines[0]);
        Assert.InRange(Stopwatch.GetElapsedTime(began).TotalSeconds, 0, 60);
    }

    private static void SkipUnreachable(string[] lines) =>
        Assert.SkipWhen(lines[0].Contains("no peer access", StringComparison.Ordinal), lines[0]);

    private static string[] Run(int size, int calls, int killed, int seconds)
    {
        Gpu.Need(size);
        var blob = Convert.ToBase64String(new PeerMemoryBackend().CreateBootstrap(size, 0));
        var peers = Enumerable.Range(0, size)
            .Select(rank => PeerMemoryProcess.Start(rank, size, calls, rank == killed ? calls / 2 : -1, seconds, blob)).ToArray();
        try
        {
            // Whoever ends first must not be held up by the output of the others.
            var lines = peers.Select(p => p.StandardOutput.ReadLineAsync()).ToArray();
            Task.WaitAll(lines);
            return [.. lines.Select(l => l.Result ?? string.Empty)];
        }
        finally
        {
            foreach (var peer in peers)
            {
                if (!peer.WaitForExit(TimeSpan.FromSeconds(20)))
                {
                    peer.Kill();
                }

                peer.Dispose();
            }
        }
    }
}
