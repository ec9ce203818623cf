using static TensorParallel.Worker.Native.CudaDriver;

namespace TensorParallel.Worker.Devices;

/// <summary>
/// Pinned memory that host copies pass through, in pieces, so that copies run at the speed of the bus and callers may reuse their
/// memory at once. Several threads may copy to the device at a time; each piece waits for a free slot.
/// </summary>
internal sealed unsafe class CudaStaging : IDisposable
{
    private const int Slots = 8;
    private const int SlotBytes = 4 << 20;

    private readonly nint _stream;
    private readonly byte* _memory;
    private readonly nint[] _done = new nint[Slots];
    private readonly bool[] _busy = new bool[Slots];
    private readonly Lock _lock = new();
    private readonly SemaphoreSlim _free = new(Slots);
    private int _next;

    /// <summary>Pins the memory; the context must be current.</summary>
    public CudaStaging(nint stream)
    {
        _stream = stream;
        _memory = CudaPinnedMemory.Allocate(Slots * SlotBytes, "for copies");
        for (var i = 0; i < Slots; i++)
        {
            nint done;
            Check(cuEventCreate(&done, CU_EVENT_DISABLE_TIMING));
            _done[i] = done;
        }
    }

    /// <summary>Copies to the device in stream order; returns when <paramref name="source"/> may be reused.</summary>
    public void ToDevice(ReadOnlySpan<byte> source, ulong target)
    {
        while (source.Length > 0)
        {
            var piece = source[..Math.Min(source.Length, SlotBytes)];
            var slot = Take();
            try
            {
                var pinned = _memory + ((long)slot * SlotBytes);
                piece.CopyTo(new Span<byte>(pinned, SlotBytes));
                Check(cuMemcpyHtoDAsync(target, pinned, (nuint)piece.Length, _stream));
                Check(cuEventRecord(_done[slot], _stream));
            }
            finally
            {
                Release(slot);
            }

            source = source[piece.Length..];
            target += (ulong)piece.Length;
        }
    }

    /// <summary>Copies to the host after everything issued before.</summary>
    public void ToHost(ulong source, Span<byte> target)
    {
        while (target.Length > 0)
        {
            var piece = target[..Math.Min(target.Length, SlotBytes)];
            var slot = Take();
            try
            {
                var pinned = _memory + ((long)slot * SlotBytes);
                Check(cuMemcpyDtoHAsync(pinned, source, (nuint)piece.Length, _stream));
                Check(cuEventRecord(_done[slot], _stream));
                Check(cuEventSynchronize(_done[slot]));
                new ReadOnlySpan<byte>(pinned, piece.Length).CopyTo(piece);
            }
            finally
            {
                Release(slot);
            }

            target = target[piece.Length..];
            source += (ulong)piece.Length;
        }
    }

    public void Dispose() => Disposal.Run(
        [.. _done.Select(done => (Action)(() => Check(cuEventDestroy(done)))), () => Check(CudaPinnedMemory.Free(_memory)), _free.Dispose]);

    // A slot is free for a thread once no thread fills it; its last copy may still run and is waited for here. Slots are taken in
    // turns, so that this is the copy that was begun longest ago: small copies run ahead of the device by seven.
    private int Take()
    {
        _free.Wait();
        int slot;
        lock (_lock)
        {
            slot = _next;
            while (_busy[slot])
            {
                slot = (slot + 1) % Slots;
            }

            _busy[slot] = true;
            _next = (slot + 1) % Slots;
        }

        Check(cuEventSynchronize(_done[slot]));
        return slot;
    }

    private void Release(int slot)
    {
        lock (_lock)
        {
            _busy[slot] = false;
        }

        _free.Release();
    }
}
