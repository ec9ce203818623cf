using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops;

namespace TensorParallel.Worker.Offloading;

/// <summary>
/// Brings groups to their slots ahead of their use, round and round over the steps: as soon as a slot's last reader is issued, the group
/// that uses the slot next is queued behind it. When every slot holds what it is needed for next, nothing moves. A group that is used
/// out of order (a step without logits leaves out the head) is fetched when it is asked for. Used by the thread that issues operations;
/// owns its slots, but not their memory.
/// </summary>
internal sealed class WeightStream : IDisposable
{
    private readonly ICopyQueue _queue;
    private readonly IReadOnlyList<StreamSlot> _slots;
    private readonly GroupReader? _reader;
    private readonly IOperationTimes? _times;
    private HostShare? _host;
    private int _rows;

    /// <summary>A stream at rest.</summary>
    /// <param name="queue">Copies from homes.</param>
    /// <param name="slots">The slots, which may be added until it begins; groups without weights are in none.</param>
    /// <param name="reader">Reads groups without home; null where all have one.</param>
    /// <param name="times">Takes what the device waits for weights; null: nobody asks.</param>
    public WeightStream(
        ICopyQueue queue, IReadOnlyList<StreamSlot> slots, GroupReader? reader, IOperationTimes? times)
    {
        (_queue, _slots, _reader, _times) = (queue, slots, reader, times);
    }

    /// <summary>What the bus was measured to carry, which copies are taken down at.</summary>
    public double BusBytesPerSecond { get; set; } = double.PositiveInfinity;

    /// <summary>Fills the slots; the homes are loaded.</summary>
    /// <param name="host">Which groups the host multiplies with; null: none.</param>
    public void Begin(HostShare? host)
    {
        _host = host;
        foreach (var slot in _slots)
        {
            if (slot.Groups.FirstOrDefault(group => !IsOnHost(group, 1)) is { } first)
            {
                Fetch(slot, first);
            }
        }
    }

    /// <summary>What is issued from now on reads the group, with so many rows.</summary>
    /// <exception cref="Protocol.Checkpoints.CheckpointException">It could not be read from its files.</exception>
    public void Enter(WeightGroup group, int rows)
    {
        _rows = rows;
        group.IsOnHost = IsOnHost(group, rows);
        if (group.UsedBytes == 0 || group.IsOnHost)
        {
            return;
        }

        var slot = _slots[group.SlotNumber];
        if (slot.Content != group)
        {
            Fetch(slot, group);
        }

        if (slot.IsAwaited)
        {
            return;
        }

        using var timing = _times?.Time("weights_wait");
        if (slot.Read is { } read)
        {
            read.Wait();
        }
        else
        {
            slot.Arrived.HoldDevice();
        }

        slot.IsAwaited = true;
    }

    /// <summary>What was issued so far is the last that reads the group in this pass.</summary>
    public void Leave(WeightGroup group)
    {
        if (group.UsedBytes == 0 || group.IsOnHost)
        {
            return;
        }

        // The next step most likely has as many rows as this one.
        var slot = _slots[group.SlotNumber];
        var next = slot.After(group);
        while (next != group && IsOnHost(next, _rows))
        {
            next = slot.After(next);
        }

        if (next != group)
        {
            Fetch(slot, next);
        }
    }

    public void Dispose() => Disposal.Of(_slots);

    private bool IsOnHost(WeightGroup group, int rows) => group.Hosted.Count > 0 && (_host?.Takes(group, rows) ?? false);

    private void Fetch(StreamSlot slot, WeightGroup group)
    {
        if (slot is { IsAwaited: false, Read: { } underWay })
        {
            underWay.Wait(); // what nobody came for is read to its end before the slot is filled anew
        }

        _queue.Release(slot.Memory);
        (slot.Content, slot.IsAwaited, slot.Read) = (group, false, null);
        if (group.Home is { } home)
        {
            _queue.Copy(home, slot.Memory, group.UsedBytes);
            _times?.Note("weights_copy", group.UsedBytes / BusBytesPerSecond * 1e6);
            slot.Arrived.Set();
        }
        else
        {
            slot.Free.Set();
            slot.Read = (_reader ?? throw new InvalidOperationException($"Nobody reads {group.Name}.")).Begin(group, slot.Free);
        }
    }
}
