using System.Diagnostics;

namespace TensorParallel.Worker.Collectives.SharedMemory;

/// <summary>
/// Decides how long a wait spins before it sleeps. A peer that comes within microseconds is cheaper to spin for than
/// the 5 to 50 µs of a sleep and a wake; one that comes later only loses a core to the spinning. So the time doubles
/// when spinning was enough, halves when it was not, and is next to nothing when the ranks outnumber the cores: the
/// peer may need this core.
/// </summary>
internal sealed class Spinner(int ranks)
{
    private static readonly long s_microsecond = Stopwatch.Frequency / 1_000_000;

    private readonly long _least = ranks > Environment.ProcessorCount ? 0 : 2 * s_microsecond;
    private readonly long _most = ranks > Environment.ProcessorCount ? s_microsecond : 64 * s_microsecond;
    private long _ticks = ranks > Environment.ProcessorCount ? 0 : 32 * s_microsecond;

    /// <summary>Starts one wait, at a timestamp.</summary>
    public Turn Begin(long start) => new(start + _ticks);

    /// <summary>The wait ended while spinning.</summary>
    public void Succeeded() => _ticks = Math.Min(_most, Math.Max(2 * _ticks, s_microsecond));

    /// <summary>The wait ended in a sleep; it took <paramref name="waited"/> timestamp ticks in all.</summary>
    public void Slept(long waited) => _ticks = waited <= _most / 2 ? 2 * waited : Math.Max(_least, _ticks / 2);

    /// <summary>One wait's spinning.</summary>
    /// <param name="End">Timestamp at which it ends.</param>
    internal readonly record struct Turn(long End)
    {
        /// <summary>Pauses the core for some ten nanoseconds; false when the time is over.</summary>
        public bool Continue()
        {
            Thread.SpinWait(1);
            return Stopwatch.GetTimestamp() < End;
        }
    }
}
