using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace TensorParallel.Coordinator.Tests.Launching;

/// <summary>Keeps what is logged. Thread-safe.</summary>
internal sealed class RecordingLoggers : ILoggerFactory, ILogger
{
    private readonly TaskCompletionSource<string> _first = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public ConcurrentQueue<(LogLevel Level, string Text)> Lines { get; } = [];

    public Task<string> FirstLine => _first.Task;

    public ILogger CreateLogger(string categoryName) => this;

    public void AddProvider(ILoggerProvider provider) => throw new NotSupportedException();

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(
        LogLevel logLevel,
        EventId eventId,
        TState state,
        Exception? exception,
        Func<TState, Exception?, string> formatter)
    {
        var text = formatter(state, exception);
        Lines.Enqueue((logLevel, text));
        _first.TrySetResult(text);
    }

    public void Dispose()
    {
    }
}
