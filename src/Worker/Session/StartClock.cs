using System.Diagnostics;

namespace TensorParallel.Worker.Session;

/// <summary>Splits a rank's start into parts. Used by one thread.</summary>
internal sealed class StartClock
{
    private readonly List<StartPart> _parts = [];
    private long _since = Stopwatch.GetTimestamp();

    /// <summary>The parts so far, in order.</summary>
    public IReadOnlyList<StartPart> Parts => _parts;

    /// <summary>What was done since the part before is called <paramref name="name"/>.</summary>
    public void End(string name)
    {
        var now = Stopwatch.GetTimestamp();
        _parts.Add(new StartPart(name, Stopwatch.GetElapsedTime(_since, now)));
        _since = now;
    }
}
