using System.Diagnostics;
using TensorParallel.Worker.Collectives.SharedMemory;
using Xunit;

namespace TensorParallel.Worker.Tests.Collectives;

/// <summary>Groups whose ranks are processes.</summary>
public sealed class SharedMemoryProcessTests
{
    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(5)]
    public void Processes_agree_on_random_mixed_calls(int size)
    {
        var (lines, path) = Run(size, 300, [], 30);
        Assert.Single(lines.Distinct());
        Assert.Matches("^[0-9A-F]{64}$", lines[0]);
        Assert.False(File.Exists(path));
    }

    [Fact]
    public void A_killed_process_is_noticed_by_all_others_and_leaves_nothing_behind()
    {
        var start = Stopwatch.GetTimestamp();
        var (lines, path) = Run(3, 300, [1], 60);
        Assert.Empty(lines[1]);
        Assert.All([lines[0], lines[2]], l => Assert.Matches(
            "^CollectiveException: Rank [02] waited in [A-Za-z]+ \\(call [0-9]+\\) for rank [012], "
            + "(whose process has ended|but rank [02] has failed and given the group up; its own message says "
            + "why|which has left the group)\\.$",
            l));
        Assert.Contains(lines, l => l.Contains("rank 1, whose process has ended"));
        Assert.False(File.Exists(path));
        Assert.True(
            Stopwatch.GetElapsedTime(start) < TimeSpan.FromSeconds(30),
            "the others waited for their timeout of 60 seconds");
    }

    private static (string[] Lines, string Path) Run(int size, int calls, int[] killed, int seconds)
    {
        var peers = Enumerable.Range(0, size)
            .Select(
                rank => new PeerProcess(rank, size, calls, killed.Contains(rank) ? calls / 2 : -1, seconds)).ToArray();
        try
        {
            var blob = peers[0].ReadLine()!;
            var path =
                SharedMemorySegment.PathOf(SharedMemoryBootstrap.Decode(Convert.FromBase64String(blob), 0, size));
            Array.ForEach(peers, p => p.WriteLine(blob));
            var lines = peers.Select(p => p.ReadLine() ?? string.Empty).ToArray();
            for (var rank = 0; rank < size; rank++)
            {
                Assert.Equal(killed.Contains(rank) ? 128 + 9 : 0, peers[rank].ExitCode);
            }

            return (lines, path);
        }
        finally
        {
            Array.ForEach(peers, p => p.Dispose());
        }
    }
}
