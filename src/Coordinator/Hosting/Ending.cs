namespace TensorParallel.Coordinator.Hosting;

/// <summary>
/// An end that several may ask for: it runs once at a time, and is over for good when it has succeeded. One that failed is told to those
/// who waited for it, and tried again for whoever asks next. Thread-safe.
/// </summary>
/// <param name="end">Ends it; after a failure called again, for what is left.</param>
internal sealed class Ending(Func<Task> end)
{
    private readonly Lock _lock = new();
    private Task? _latest;

    /// <summary>Completes when it has ended; throws what the attempt threw.</summary>
    public Task RunAsync()
    {
        lock (_lock)
        {
            return _latest is null or { IsCompleted: true, IsCompletedSuccessfully: false } ? _latest = AttemptAsync() : _latest;
        }
    }

    private async Task AttemptAsync() => await end();
}
