using Microsoft.Extensions.Logging;
using TensorParallel.Protocol.Wire;
using TensorParallel.Worker.Ops;

namespace TensorParallel.Worker.Session;

/// <summary>
/// Wakes the rank's device while the process is still on its way to the coordinator: a GPU's driver and context take a second and
/// more. What goes wrong here goes wrong again when the device is opened, and is told then.
/// </summary>
internal static partial class EarlyDevice
{
    /// <summary>Begins on a thread of its own; does nothing where the launcher has named no device, or one that needs no waking.</summary>
    public static void Wake(StartTimeline timeline, ILogger logger)
    {
        var name = Environment.GetEnvironmentVariable(WorkerEnvironment.Device);
        if (string.IsNullOrEmpty(name) || DeviceBackendCatalog.WakingSteps(name) is not { Count: > 0 } steps)
        {
            return;
        }

        new Thread(() => Run(steps, timeline, logger)) { IsBackground = true, Name = $"wake {name}" }.Start();
    }

    private static void Run(IReadOnlyList<(string Name, Action Step)> steps, StartTimeline timeline, ILogger logger)
    {
        try
        {
            foreach (var (name, step) in steps)
            {
                timeline.Measure(name, () =>
                {
                    step();
                    return true;
                });
            }
        }
        catch (Exception exception)
        {
            Log.Failed(logger, exception.Message);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Debug, "the device could not be woken early: {Reason}")]
        public static partial void Failed(ILogger logger, string reason);
    }
}
