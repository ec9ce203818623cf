using System.Runtime.ExceptionServices;

namespace TensorParallel.Worker.Devices;

/// <summary>
/// Frees several things in order, and all of them: one that cannot be freed keeps none behind it allocated. What was thrown comes out at the
/// end: one exception as it was, several as an <see cref="AggregateException"/>, the first one first.
/// </summary>
internal static class Disposal
{
    /// <summary>Disposes all of them; null is nothing to dispose.</summary>
    /// <exception cref="AggregateException">Several could not be disposed.</exception>
    public static void Of(params IEnumerable<IDisposable?> items) => Run(items.OfType<IDisposable>().Select(item => (Action)item.Dispose));

    /// <summary>Takes all steps.</summary>
    /// <exception cref="AggregateException">Several failed.</exception>
    public static void Run(params IEnumerable<Action> steps)
    {
        List<Exception>? failures = null;
        foreach (var step in steps)
        {
            try
            {
                step();
            }
            catch (AggregateException several)
            {
                (failures ??= []).AddRange(several.Flatten().InnerExceptions);
            }
            catch (Exception exception)
            {
                (failures ??= []).Add(exception);
            }
        }

        switch (failures)
        {
            case [var only]:
                ExceptionDispatchInfo.Throw(only);
                break;
            case not null:
                throw new AggregateException(failures);
        }
    }
}
