namespace TensorParallel.Coordinator.Sharing;

/// <summary>A model's right to stay on its devices; ends once, however often it is disposed.</summary>
internal sealed class Turn(Action ended) : IDisposable
{
    private Action? _ended = ended;

    /// <inheritdoc/>
    public void Dispose() => Interlocked.Exchange(ref _ended, null)?.Invoke();
}
