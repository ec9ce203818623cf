namespace TensorParallel.Coordinator.Engine;

/// <summary>Turns of one model on devices that it shares with others. Thread-safe.</summary>
internal interface IDeviceTurns
{
    /// <summary>
    /// Waits until the model is on its devices; there it stays at least until what is returned is disposed, once or more often. Throws
    /// <see cref="EngineUnavailableException"/> when the model is being unloaded, or what kept it from coming back.
    /// </summary>
    ValueTask<IDisposable> EnterAsync(CancellationToken cancellationToken);
}
