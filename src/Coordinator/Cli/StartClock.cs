using System.Diagnostics;
using TensorParallel.Coordinator.Workers;

namespace TensorParallel.Coordinator.Cli;

/// <summary>What lies between the start of this process and its first token. One thread.</summary>
internal sealed class StartClock
{
    private readonly TimeSpan _origin;
    private readonly List<StartReportPart> _parts = [];
    private TimeSpan _last;

    /// <summary>Begins at the start of this process; the time until now is the part called <c>coordinator</c>.</summary>
    public StartClock()
    {
        using var process = Process.GetCurrentProcess();
        _origin = Now() - (DateTime.Now - process.StartTime);
        _last = _origin;
        Mark("coordinator");
    }

    /// <summary>Ends a part that began where the one before ended.</summary>
    public void Mark(string name)
    {
        var now = Now();
        Add(name, _last, now - _last);
        _last = now;
    }

    /// <summary>Takes over the parts of the workers' start, which run beside <c>workers</c>.</summary>
    public void Add(LoadSummary load)
    {
        foreach (var part in load.Parts)
        {
            Add($"worker {part.Name}", load.Began + part.Began, part.Duration);
        }
    }

    /// <summary>All parts in the order in which they began; the last <see cref="Mark"/> was at the first token.</summary>
    public StartReport Report() => new((_last - _origin).TotalSeconds, [.. _parts.OrderBy(part => part.AtSeconds)]);

    private static TimeSpan Now() => TimeProvider.System.GetElapsedTime(0);

    private void Add(string name, TimeSpan began, TimeSpan duration) =>
        _parts.Add(new StartReportPart(name, (began - _origin).TotalSeconds, duration.TotalSeconds));
}
