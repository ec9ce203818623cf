using System.Diagnostics;
using Xunit;

namespace TensorParallel.Coordinator.Tests.Launching;

/// <summary>What the kernel says about other processes.</summary>
internal static class ProcessTable
{
    /// <summary>
    /// Waits until a process, not necessarily our child, is gone; a zombie that nobody reaps counts as gone.
    /// </summary>
    public static async Task GoneAsync(int processId, TimeSpan limit)
    {
        var started = Stopwatch.GetTimestamp();
        while (Runs(processId))
        {
            Assert.True(Stopwatch.GetElapsedTime(started) < limit, $"process {processId} still runs after {limit}");
            await Task.Delay(5); // there is no event for the end of somebody else's child
        }
    }

    /// <summary>Process ids of the direct children of a process.</summary>
    public static IReadOnlyList<int> Children(int processId) =>
        [.. Directory.GetDirectories("/proc")
            .Select(Path.GetFileName)
            .Where(name => int.TryParse(name, out _))
            .Select(name => int.Parse(name!, System.Globalization.CultureInfo.InvariantCulture))
            .Where(id => Fields(id) is { } fields && fields[1] == $"{processId}")];

    private static bool Runs(int processId) => Fields(processId) is { } fields && fields[0] is not ("Z" or "X");

    // /proc/ID/stat after the name in brackets: state, parent, …
    private static string[]? Fields(int processId)
    {
        try
        {
            var text = File.ReadAllText($"/proc/{processId}/stat");
            return text[(text.LastIndexOf(')') + 2)..].Split(' ');
        }
        catch (IOException)
        {
            return null; // it ended
        }
    }
}
