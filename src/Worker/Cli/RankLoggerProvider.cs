using Microsoft.Extensions.Logging;

namespace TensorParallel.Worker.Cli;

/// <summary>
/// Writes log lines as <c>rank 1 warn: text</c>. The coordinator reads level and text back from them; there is no
/// buffer, so that the last line before a crash is not lost.
/// </summary>
internal sealed class RankLoggerProvider(int rank, TextWriter writer) : ILoggerProvider
{
    private readonly Lock _gate = new();

    /// <inheritdoc/>
    public ILogger CreateLogger(string categoryName) => new RankLogger(this, categoryName);

    /// <inheritdoc/>
    public void Dispose()
    {
    }

    private void Write(LogLevel level, string text)
    {
        var name = level switch
        {
            LogLevel.Trace => "trace",
            LogLevel.Debug => "debug",
            LogLevel.Information => "info",
            LogLevel.Warning => "warn",
            LogLevel.Error => "error",
            _ => "fatal",
        };
        lock (_gate)
        {
            foreach (var line in text.AsSpan().EnumerateLines())
            {
                writer.WriteLine($"rank {rank} {name}: {line}");
            }
        }
    }

    private sealed class RankLogger(RankLoggerProvider provider, string category) : ILogger
    {
        // The host's own chatter ("Application started") is the coordinator's business only when something is wrong.
        private readonly LogLevel _minimum =
            category.StartsWith(nameof(TensorParallel), StringComparison.Ordinal) ? LogLevel.Debug : LogLevel.Warning;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel >= _minimum && logLevel != LogLevel.None;

        public void Log<TState>(
            LogLevel logLevel,
            EventId eventId,
            TState state,
            Exception? exception,
            Func<TState, Exception?, string> formatter)
        {
            if (!IsEnabled(logLevel))
            {
                return;
            }

            var text = formatter(state, exception);
            provider.Write(logLevel, exception is null ? text : $"{text}: {exception}");
        }
    }
}
