using System.Collections.Concurrent;
using System.Diagnostics;

namespace TensorParallel.Coordinator.Launching;

/// <summary>
/// Starts processes from one thread that lives as long as they may. The kernel's "kill me when my parent ends", which
/// the workers ask for, means the thread that started them: a pool thread that retires would take its workers along.
/// </summary>
internal sealed class StarterThread : IDisposable
{
    private readonly BlockingCollection<(ProcessStartInfo Start, TaskCompletionSource<Process> Started)> _requests = [];

    /// <summary>Starts the thread.</summary>
    public StarterThread() => new Thread(Run) { IsBackground = true, Name = "worker starter" }.Start();

    /// <summary>Starts a process; throws what <see cref="Process.Start()"/> throws.</summary>
    public Process Start(ProcessStartInfo start)
    {
        var started = new TaskCompletionSource<Process>();
        _requests.Add((start, started));
        return started.Task.GetAwaiter().GetResult();
    }

    /// <summary>Ends the thread, and by that every process it started which asked to end with it.</summary>
    public void Dispose() => _requests.CompleteAdding();

    private void Run()
    {
        foreach (var (start, started) in _requests.GetConsumingEnumerable())
        {
            try
            {
                started.SetResult(Process.Start(start)!);
            }
            catch (Exception exception)
            {
                started.SetException(exception); // thrown in the thread that asked
            }
        }
    }
}
