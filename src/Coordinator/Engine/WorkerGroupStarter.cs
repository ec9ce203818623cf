using TensorParallel.Coordinator.Workers;

namespace TensorParallel.Coordinator.Engine;

/// <summary>
/// Starts a worker group in place of a lost one: at once after the first loss, after growing pauses when that keeps
/// failing, and not for ever. One call at a time.
/// </summary>
internal sealed partial class WorkerGroupStarter(
    IWorkerGroupFactory factory, EngineOptions options, TimeProvider time, ILogger logger)
{
    private int _starts;

    /// <summary>The present group completed a step: the next loss is a new story.</summary>
    public void MarkHealthy() => Volatile.Write(ref _starts, 0);

    /// <summary>
    /// Disposes the lost group and starts another. Throws <see cref="EngineUnavailableException"/> when
    /// <see cref="EngineOptions.RestartAttempts"/> starts in a row gave no group that completed a step.
    /// </summary>
    public async Task<IWorkerGroup> ReplaceAsync(
        IWorkerGroup lost, Exception reason, CancellationToken cancellationToken)
    {
        await DisposeAsync(lost);
        while (true)
        {
            var start = Interlocked.Increment(ref _starts);
            if (start > options.RestartAttempts)
            {
                throw new EngineUnavailableException(
                    $"The workers were started {options.RestartAttempts} times in a row and lost each time; the last error "
                    + $"was: {reason.Message} Restart the server when the cause is gone.");
            }

            await Task.Delay(PauseBefore(start), time, cancellationToken);
            try
            {
                return await factory.StartAsync(cancellationToken);
            }
            catch (Exception exception) when (
                exception is not OperationCanceledException || !cancellationToken.IsCancellationRequested)
            {
                Log.StartFailed(logger, start, options.RestartAttempts, exception);
                reason = exception;
            }
        }
    }

    /// <summary>Disposes a group; an error of that is logged, for the group is of no use any more.</summary>
    public async Task DisposeAsync(IWorkerGroup group)
    {
        try
        {
            await group.DisposeAsync();
        }
        catch (Exception exception)
        {
            Log.DisposeFailed(logger, exception);
        }
    }

    private TimeSpan PauseBefore(int start)
    {
        if (start == 1)
        {
            return TimeSpan.Zero;
        }

        var pause = options.RestartPause * Math.Pow(2, Math.Min(start - 2, 30));
        return pause < options.LongestRestartPause ? pause : options.LongestRestartPause;
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Error, "Start {Start} of at most {Attempts} of the workers failed.")]
        public static partial void StartFailed(ILogger logger, int start, int attempts, Exception exception);

        [LoggerMessage(LogLevel.Warning, "The lost worker group could not be disposed cleanly.")]
        public static partial void DisposeFailed(ILogger logger, Exception exception);
    }
}
