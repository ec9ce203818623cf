using System.Diagnostics.CodeAnalysis;

namespace TensorParallel.Coordinator.Engine;

/// <summary>
/// Requests without a slot, first come first served; it outlives worker groups. A place is reserved by the caller's
/// thread (<see cref="TryReserve"/>, <see cref="Count"/>); everything else belongs to the engine loop.
/// </summary>
/// <param name="capacity">Most requests that may wait.</param>
internal sealed class WaitingQueue(int capacity)
{
    private readonly LinkedList<Sequence> _sequences = new();
    private int _reserved;

    /// <summary>Most requests that may wait.</summary>
    public int Capacity => capacity;

    /// <summary>Places taken, by requests in the queue or on their way into it.</summary>
    public int Count => Volatile.Read(ref _reserved);

    /// <summary>Takes a place; false when all are taken. Thread-safe.</summary>
    public bool TryReserve()
    {
        if (Interlocked.Increment(ref _reserved) <= capacity)
        {
            return true;
        }

        Interlocked.Decrement(ref _reserved);
        return false;
    }

    /// <summary>Gives a place back that was reserved and not used. Thread-safe.</summary>
    public void Unreserve() => Interlocked.Decrement(ref _reserved);

    /// <summary>Puts a sequence into its reserved place, last in line.</summary>
    public void Enqueue(Sequence sequence) => _sequences.AddLast(sequence);

    /// <summary>The sequence that is next.</summary>
    public bool TryPeek([NotNullWhen(true)] out Sequence? sequence)
    {
        sequence = _sequences.First?.Value;
        return sequence is not null;
    }

    /// <summary>Takes the sequence that is next out of the line.</summary>
    public void Dequeue()
    {
        _sequences.RemoveFirst();
        Unreserve();
    }

    /// <summary>Takes a sequence out of the line; false when it is not in it.</summary>
    public bool Remove(Sequence sequence)
    {
        var removed = _sequences.Remove(sequence);
        if (removed)
        {
            Unreserve();
        }

        return removed;
    }

    /// <summary>Ends, with its error, every sequence for which <paramref name="errorOf"/> has one.</summary>
    public void EndWhere(Func<Sequence, Exception?> errorOf)
    {
        foreach (var sequence in _sequences.ToArray())
        {
            if (errorOf(sequence) is { } error)
            {
                Remove(sequence);
                sequence.End(error);
            }
        }
    }
}
