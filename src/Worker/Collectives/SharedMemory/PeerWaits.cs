using System.Diagnostics;
using System.Runtime.InteropServices;
using TensorParallel.Worker.Native;

namespace TensorParallel.Worker.Collectives.SharedMemory;

/// <summary>
/// How one rank waits for its peers and wakes them. Everything waited for is a counter in the segment that only rises,
/// written by one rank. A wait spins for a moment, then sleeps in the kernel on this rank's doorbell, which a peer
/// rings after it has moved a counter. Used by the rank's one thread.
/// </summary>
internal sealed unsafe class PeerWaits
{
    /// <summary>A sleep ends this often to look whether the peers' processes still live.</summary>
    private static readonly TimeSpan s_aliveInterval = TimeSpan.FromMilliseconds(100);

    private readonly SharedMemorySegment _segment;
    private readonly int _rank;
    private readonly int _size;
    private readonly TimeSpan _timeout;
    private readonly Spinner _spinner;

    public PeerWaits(SharedMemorySegment segment, int rank, TimeSpan timeout)
    {
        _segment = segment;
        _rank = rank;
        _size = segment.Layout.Size;
        _timeout = timeout;
        _spinner = new Spinner(_size);
    }

    private enum RankState
    {
        Joining,
        Joined,
        Left,
    }

    /// <summary>Where a rank's count of arrivals stands.</summary>
    public long* Arrival(int rank) => (long*)_segment.At(SharedMemoryLayout.Line(rank, SharedMemoryLayout.ArrivalLine));

    /// <summary>Says that this rank has mapped the segment; throws when the place was taken before.</summary>
    public void Join()
    {
        var before = Interlocked.CompareExchange(ref *State(_rank), (int)RankState.Joined, (int)RankState.Joining);
        if (before != (int)RankState.Joining)
        {
            throw new CollectiveException(
                $"Rank {_rank} has joined this group before; a group cannot be joined again, start a new one.");
        }
    }

    /// <summary>Says that this rank will make no more calls; peers that wait for it fail at once.</summary>
    public void Leave()
    {
        Interlocked.Exchange(ref *State(_rank), (int)RankState.Left);
        RingAll();
    }

    /// <summary>Makes every wait of every rank fail.</summary>
    public void Poison()
    {
        Interlocked.CompareExchange(ref *PoisonWord, _rank + 1, 0);
        RingAll();
    }

    /// <summary>Publishes this rank's arrival; whoever sees that all have arrived wakes those who sleep.</summary>
    public void Arrive(long count)
    {
        Volatile.Write(ref *Arrival(_rank), count);
        Interlocked.MemoryBarrier();
        if (Arrivals(count).Reached)
        {
            RingAll();
        }
    }

    /// <summary>Moves a counter that one peer may wait for, and wakes it.</summary>
    public void Advance(long* counter, long value, int peer)
    {
        Volatile.Write(ref *counter, value);
        Interlocked.MemoryBarrier();
        Ring(peer);
    }

    /// <summary>Waits until every rank has arrived <paramref name="count"/> times.</summary>
    public void ForAll(long count, CallSite call) => Wait(Arrivals(count), call);

    /// <summary>Waits until a counter that <paramref name="peer"/> moves has reached a value.</summary>
    public void For(long* counter, long value, int peer, CallSite call) =>
        Wait(new AwaitedCounters(counter, 0, 1, value, peer), call);

    private int* PoisonWord => (int*)_segment.At(SharedMemoryLayout.PoisonOffset);

    private int* State(int rank) => (int*)_segment.At(SharedMemoryLayout.Line(rank, SharedMemoryLayout.StateLine));

    /// <summary>Word 0: rings so far, the futex. Word 1: not 0 while its rank sleeps or is about to.</summary>
    private uint* Doorbell(int rank) =>
        (uint*)_segment.At(SharedMemoryLayout.Line(rank, SharedMemoryLayout.DoorbellLine));

    private AwaitedCounters Arrivals(long count) =>
        new(Arrival(0), SharedMemoryLayout.LinesPerRank * SharedMemoryLayout.LineBytes, _size, count, 0);

    private void Wait(AwaitedCounters counters, CallSite call)
    {
        if (counters.Reached)
        {
            return;
        }

        var start = Stopwatch.GetTimestamp();
        var spin = _spinner.Begin(start);
        while (spin.Continue())
        {
            if (counters.Reached)
            {
                _spinner.Succeeded();
                return;
            }
        }

        Sleep(counters, start, call);
        _spinner.Slept(Stopwatch.GetTimestamp() - start);
    }

    private void Sleep(AwaitedCounters counters, long start, CallSite call)
    {
        var bell = Doorbell(_rank);
        Volatile.Write(ref bell[1], 1u);
        try
        {
            while (true)
            {
                // The fence orders "I may sleep" before the look at the counters; a peer fences between moving its
                // counter and looking whether anyone sleeps, so one of the two sees the other.
                Interlocked.MemoryBarrier();
                var rings = Volatile.Read(ref bell[0]);
                if (counters.Reached)
                {
                    return;
                }

                var left = _timeout - Stopwatch.GetElapsedTime(start);
                var problem = Problem(counters, left, lookAtProcesses: false);
                if (problem is null && FutexWait(bell, rings, left < s_aliveInterval ? left : s_aliveInterval))
                {
                    continue;
                }

                problem ??= Problem(counters, left, lookAtProcesses: true);

                // What the peer did last may have come in between: then there is nothing wrong with this call.
                if (problem is not null && !counters.Reached)
                {
                    Poison();
                    throw new CollectiveException(
                        $"Rank {_rank} waited in {call.Operation} (call {call.Number}) for {problem}.");
                }
            }
        }
        finally
        {
            Volatile.Write(ref bell[1], 0u);
        }
    }

    /// <summary>Why waiting is of no use any more; null while it may be.</summary>
    private string? Problem(AwaitedCounters counters, TimeSpan left, bool lookAtProcesses)
    {
        for (var i = counters.NextBehind(0); i >= 0; i = counters.NextBehind(i + 1))
        {
            var peer = counters.Peer(i);
            var state = (RankState)Volatile.Read(ref *State(peer));
            var poison = Volatile.Read(ref *PoisonWord);
            var problem = state == RankState.Left ? $"rank {peer}, which has left the group"
                : poison != 0 ? $"rank {peer}, but rank {poison - 1} has failed and given the group up; "
                    + "its own message says why"
                : lookAtProcesses && state == RankState.Joined && !_segment.IsAlive(peer)
                    ? $"rank {peer}, whose process has ended"
                : left <= TimeSpan.Zero ? $"rank {peer} for {_timeout.TotalSeconds:0.###} seconds, "
                    + "and it did not come: it is stuck, stopped, or not making the same calls"
                : null;
            if (problem is not null)
            {
                return problem;
            }
        }

        return null;
    }

    /// <summary>Wakes whoever sleeps; what they wait for must stand before a full fence before this.</summary>
    private void RingAll()
    {
        for (var peer = 0; peer < _size; peer++)
        {
            Ring(peer);
        }
    }

    private void Ring(int peer)
    {
        var bell = Doorbell(peer);
        if (peer != _rank && Volatile.Read(ref bell[1]) != 0)
        {
            Interlocked.Increment(ref bell[0]);
            if (Libc.futex(Libc.SYS_futex, bell, Libc.FUTEX_WAKE, 1, null, 0, 0) < 0)
            {
                throw new CollectiveException(
                    $"Rank {_rank} cannot wake rank {peer}: {Marshal.GetLastPInvokeErrorMessage()}.");
            }
        }
    }

    /// <summary>False when the time was over and nobody rang.</summary>
    private bool FutexWait(uint* bell, uint rings, TimeSpan limit)
    {
        var time = new Libc.timespec64
        {
            tv_sec = limit.Ticks / TimeSpan.TicksPerSecond,
            tv_nsec = limit.Ticks % TimeSpan.TicksPerSecond * 100,
        };
        if (Libc.futex(Libc.SYS_futex, bell, Libc.FUTEX_WAIT, (nint)rings, &time, 0, 0) == 0)
        {
            return true;
        }

        return Marshal.GetLastPInvokeError() switch
        {
            Libc.EAGAIN or Libc.EINTR => true,
            Libc.ETIMEDOUT => false,
            _ => throw new CollectiveException(
                $"Rank {_rank} cannot wait for its peers: {Marshal.GetLastPInvokeErrorMessage()}."),
        };
    }
}
