using Microsoft.Extensions.Logging.Console;

namespace TensorParallel.Coordinator.Hosting;

/// <summary>
/// Logging of every command: one line an entry, on standard error, so that standard output holds only results.
/// </summary>
internal static class CoordinatorLogging
{
    /// <summary>Adds it to a builder.</summary>
    public static void Configure(ILoggingBuilder logging, LogLevel level)
    {
        logging.ClearProviders();
        logging.AddSimpleConsole(options =>
        {
            options.SingleLine = true;
            options.TimestampFormat = "HH:mm:ss ";
            options.ColorBehavior = Console.IsErrorRedirected ? LoggerColorBehavior.Disabled : LoggerColorBehavior.Default;
        });
        logging.Services.Configure<ConsoleLoggerOptions>(options => options.LogToStandardErrorThreshold = LogLevel.Trace);
        logging.SetMinimumLevel(level);
        logging.AddFilter("Microsoft", level > LogLevel.Warning ? level : LogLevel.Warning);
        logging.AddFilter("Grpc", level > LogLevel.Warning ? level : LogLevel.Warning);
    }

    /// <summary>A factory for commands that have no host; the caller disposes it.</summary>
    public static ILoggerFactory Create(LogLevel level) => LoggerFactory.Create(logging => Configure(logging, level));
}
