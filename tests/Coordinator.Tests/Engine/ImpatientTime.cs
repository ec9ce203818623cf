namespace TensorParallel.Coordinator.Tests.Engine;

/// <summary>A clock whose timers are due at once, and that remembers what they were set to.</summary>
internal sealed class ImpatientTime : TimeProvider
{
    private readonly List<TimeSpan> _pauses = [];

    /// <summary>Pauses asked for, in order.</summary>
    public IReadOnlyList<TimeSpan> Pauses
    {
        get
        {
            lock (_pauses)
            {
                return [.. _pauses];
            }
        }
    }

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        lock (_pauses)
        {
            _pauses.Add(dueTime);
        }

        return System.CreateTimer(callback, state, TimeSpan.Zero, Timeout.InfiniteTimeSpan);
    }
}
