namespace TensorParallel.Coordinator.Engine;

/// <summary>
/// A place among the waiting requests, kept for one that waits for something else first. Given back when it is disposed, unless the
/// request has taken it. Used by one thread at a time.
/// </summary>
/// <param name="waiting">The queue, in which the place is reserved.</param>
internal sealed class QueuePlace(WaitingQueue waiting) : IDisposable
{
    private bool _isKept = true;

    /// <summary>The request goes into the queue, whose the place is from now on.</summary>
    public void Take() => _isKept = _isKept ? false : throw new InvalidOperationException("The place was given away before.");

    public void Dispose()
    {
        if (_isKept)
        {
            _isKept = false;
            waiting.Unreserve();
        }
    }
}
