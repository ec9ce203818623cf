using System.Diagnostics;

namespace TensorParallel.Worker.Session;

/// <summary>What a rank's start was spent on, from the process's beginning. Thread-safe: parts run beside each other.</summary>
internal sealed class StartTimeline
{
    private readonly Lock _lock = new();
    private readonly List<StartPart> _parts = [];

    /// <summary>Parts so far, in the order in which they began.</summary>
    public IReadOnlyList<StartPart> Parts
    {
        get
        {
            lock (_lock)
            {
                return [.. _parts.OrderBy(part => part.Began)];
            }
        }
    }

    /// <summary>A part that ends now and began with this process.</summary>
    public void AddSinceProcessStart(string name)
    {
        using var process = Process.GetCurrentProcess();
        var age = DateTime.Now - process.StartTime;
        Add(name, Stopwatch.GetTimestamp() - (long)(age.TotalSeconds * Stopwatch.Frequency), age);
    }

    /// <summary>A part that was measured elsewhere.</summary>
    public void Add(string name, long began, TimeSpan duration)
    {
        lock (_lock)
        {
            _parts.Add(new StartPart(name, began, duration));
        }
    }

    /// <summary>Runs a part; it counts also when it fails.</summary>
    public T Measure<T>(string name, Func<T> part)
    {
        var began = Stopwatch.GetTimestamp();
        try
        {
            return part();
        }
        finally
        {
            Add(name, began, Stopwatch.GetElapsedTime(began));
        }
    }
}
