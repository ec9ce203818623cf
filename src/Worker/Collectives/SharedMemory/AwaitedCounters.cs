namespace TensorParallel.Worker.Collectives.SharedMemory;

/// <summary>
/// What a wait watches: <paramref name="count"/> counters in the segment, <paramref name="strideBytes"/> apart, that
/// all have to reach <paramref name="target"/>. Counters only rise; number i is moved by rank <c>firstPeer + i</c>.
/// </summary>
internal readonly unsafe struct AwaitedCounters(long* counters, int strideBytes, int count, long target, int firstPeer)
{
    /// <summary>Whether there is nothing left to wait for.</summary>
    public bool Reached => NextBehind(0) < 0;

    /// <summary>The rank that moves a counter.</summary>
    public int Peer(int index) => firstPeer + index;

    /// <summary>First counter below the target, from number <paramref name="from"/> on; −1: none.</summary>
    public int NextBehind(int from)
    {
        for (var i = from; i < count; i++)
        {
            if (Volatile.Read(ref *(long*)((byte*)counters + ((long)i * strideBytes))) < target)
            {
                return i;
            }
        }

        return -1;
    }
}
