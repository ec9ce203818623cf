using System.Diagnostics;
using System.Text.RegularExpressions;

namespace TensorParallel.Coordinator.Launching;

/// <summary>
/// A worker process on this machine; both its outputs go to the log, so that standard output stays the caller's.
/// </summary>
internal sealed partial class WorkerProcess : IWorkerProcess
{
    private const int KeptLines = 20;

    // A grandchild that inherited the pipe could hold it open; the exit must be told all the same.
    private static readonly TimeSpan s_outputGrace = TimeSpan.FromMilliseconds(500);

    private readonly Process _process;
    private readonly int _rank;
    private readonly ILogger _logger;
    private readonly ErrorTail _tail = new(KeptLines);

    /// <summary>Takes over a started process with redirected input and outputs.</summary>
    public WorkerProcess(Process process, int rank, ILogger logger)
    {
        _process = process;
        _rank = rank;
        _logger = logger;
        ProcessId = process.Id;
        process.StandardInput.Close();
        Exited = WatchAsync();
    }

    /// <inheritdoc/>
    public int ProcessId { get; }

    /// <inheritdoc/>
    public Task<ProcessExit> Exited { get; }

    /// <inheritdoc/>
    public IReadOnlyList<string> LastErrorLines() => _tail.Lines();

    /// <inheritdoc/>
    public void Kill()
    {
        if (!Exited.IsCompleted)
        {
            _process.Kill(entireProcessTree: true);
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        Kill();
        await Exited;
        _process.Dispose();
    }

    private async Task<ProcessExit> WatchAsync()
    {
        var outputs = Task.WhenAll(
            ForwardAsync(_process.StandardOutput, keep: false), ForwardAsync(_process.StandardError, keep: true));
        var exited = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _process.Exited += (_, _) => exited.TrySetResult();
        _process.EnableRaisingEvents = true; // raises at once when the process has ended already
        await exited.Task;
        await Task.WhenAny(outputs, Task.Delay(s_outputGrace));
        return new ProcessExit(_process.ExitCode);
    }

    private async Task ForwardAsync(StreamReader output, bool keep)
    {
        try
        {
            while (await output.ReadLineAsync() is { } line)
            {
                var (level, text) = Read(line);
                if (keep && level >= LogLevel.Information)
                {
                    _tail.Add(text);
                }

                Log.WorkerLine(_logger, level, _rank, text);
            }
        }
        catch (IOException exception)
        {
            Log.OutputBroken(_logger, _rank, exception.Message);
        }
    }

    // The worker's own lines say their level ("rank 1 warn: text"); what native libraries print is passed on as it is.
    private static (LogLevel Level, string Text) Read(string line)
    {
        var match = OwnLine().Match(line);
        return match.Success
            ? (match.Groups["level"].ValueSpan switch
            {
                "trace" => LogLevel.Trace,
                "debug" => LogLevel.Debug,
                "info" => LogLevel.Information,
                "warn" => LogLevel.Warning,
                _ => LogLevel.Error,
            }, match.Groups["text"].Value)
            : (LogLevel.Information, line);
    }

    [GeneratedRegex(
        "^rank [0-9]+ (?<level>trace|debug|info|warn|error|fatal): (?<text>.*)$", RegexOptions.ExplicitCapture)]
    private static partial Regex OwnLine();

    private static partial class Log
    {
        [LoggerMessage(EventId = 1, Message = "rank {Rank}: {Line}")]
        public static partial void WorkerLine(ILogger logger, LogLevel level, int rank, string line);

        [LoggerMessage(2, LogLevel.Warning, "rank {Rank}: its output cannot be read: {Reason}")]
        public static partial void OutputBroken(ILogger logger, int rank, string reason);
    }
}
