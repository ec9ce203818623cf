using TensorParallel.Coordinator.Engine;
using TensorParallel.Coordinator.Launching;
using TensorParallel.Coordinator.Sharding;
using TensorParallel.Coordinator.Text;
using TensorParallel.Coordinator.Workers;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Cli;

/// <summary>Turns what a command throws into one message on standard error and an exit code.</summary>
internal static class CommandGuard
{
    /// <summary>Runs a command's body.</summary>
    /// <returns>
    /// <see cref="ExitCodes"/>; an unforeseen exception is not caught: its stack is what a bug report needs.
    /// </returns>
    public static async Task<int> RunAsync(Func<StopSignals, Task<int>> body)
    {
        using var signals = new StopSignals();
        try
        {
            return await body(signals);
        }
        catch (OperationCanceledException) when (signals.Stopping.IsCancellationRequested)
        {
            return Say("Interrupted.", ExitCodes.RunFailed);
        }
        catch (IOException exception) when (StandardOutput.IsReaderGone(exception))
        {
            return ReaderIsGone();
        }
        catch (Exception exception) when (IsBadInput(exception))
        {
            return Say(exception.Message, ExitCodes.BadInput);
        }
        catch (Exception exception) when (IsFailedRun(exception))
        {
            return Say(exception.Message, ExitCodes.RunFailed);
        }
    }

    /// <summary>Says that nobody reads standard output any more.</summary>
    public static int ReaderIsGone() => Say("Standard output was closed by its reader: stopped.", ExitCodes.RunFailed);

    private static bool IsBadInput(Exception exception) =>
        exception is UsageException or CheckpointException or PlanException or RequestException or TokenizerException
            or WorkerLaunchException or FileNotFoundException or DirectoryNotFoundException;

    private static bool IsFailedRun(Exception exception) =>
        exception is WorkerLostException or EngineBusyException or EngineUnavailableException or IOException
            or UnauthorizedAccessException or ShardRunException;

    private static int Say(string message, int code)
    {
        Console.Error.WriteLine($"coordinator: {message}");
        return code;
    }
}
