namespace TensorParallel.Coordinator.Launching;

/// <summary>Keeps the last lines of an output. Thread-safe.</summary>
internal sealed class ErrorTail(int capacity)
{
    private readonly Queue<string> _lines = new(capacity);

    /// <summary>Adds a line; the oldest goes when there are too many.</summary>
    public void Add(string line)
    {
        lock (_lines)
        {
            if (_lines.Count == capacity)
            {
                _lines.Dequeue();
            }

            _lines.Enqueue(line);
        }
    }

    /// <summary>The lines, oldest first.</summary>
    public IReadOnlyList<string> Lines()
    {
        lock (_lines)
        {
            return [.. _lines];
        }
    }
}
