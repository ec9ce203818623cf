using TensorParallel.Worker.Native;
using static TensorParallel.Worker.Native.CudaDriver;

namespace TensorParallel.Worker.Devices;

/// <summary>
/// Copies of small results to the host that nobody waits for at once: each goes to the next piece of a ring of pinned memory, with an
/// event behind it. A piece that comes round again is read out first, so that copies can be left alone for as long as one likes.
/// </summary>
internal sealed unsafe class CudaReadback : IDisposable
{
    private const int Pieces = 8;

    /// <summary>Most bytes of one copy.</summary>
    public const int MostBytes = 64 << 10;

    private readonly CudaDevice _device;
    private readonly byte* _memory;
    private readonly nint[] _events = new nint[Pieces];
    private readonly Copy?[] _copies = new Copy?[Pieces];
    private int _next;

    /// <summary>Pins the memory; the device's context must be current.</summary>
    public CudaReadback(CudaDevice device)
    {
        _device = device;
        _memory = CudaPinnedMemory.Allocate(Pieces * MostBytes, "for results");
        for (var i = 0; i < Pieces; i++)
        {
            nint done;
            Check(cuEventCreate(&done, CU_EVENT_DISABLE_TIMING));
            _events[i] = done;
        }
    }

    /// <summary>Queues a copy of up to <see cref="MostBytes"/> behind everything issued; none at all tells when that is done.</summary>
    public IPendingCopy Begin(ulong source, int bytes)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(bytes, MostBytes);
        var piece = _next;
        _next = (_next + 1) % Pieces;
        _copies[piece]?.Settle();
        var pinned = _memory + ((long)piece * MostBytes);
        if (bytes > 0)
        {
            Check(cuMemcpyDtoHAsync(pinned, source, (nuint)bytes, _device.Stream));
        }

        Check(cuEventRecord(_events[piece], _device.Stream));
        var copy = new Copy(_device, _events[piece], pinned, bytes);
        _copies[piece] = copy;
        return copy;
    }

    public void Dispose() => Disposal.Run(
        [.. _events.Select(done => (Action)(() => Check(cuEventDestroy(done)))), () => Check(CudaPinnedMemory.Free(_memory))]);

    private sealed class Copy(CudaDevice device, nint done, byte* pinned, int bytes) : IPendingCopy
    {
        private byte[]? _bytes;
        private NativeException? _failure;

        public bool IsDone
        {
            get
            {
                device.MakeCurrent();
                return _bytes is not null || _failure is not null || cuEventQuery(done) != CUDA_ERROR_NOT_READY;
            }
        }

        // The event may be another copy's by now: then the wait is longer than need be. A failure is Read's to tell.
        public void Wait()
        {
            device.MakeCurrent();
            _ = cuEventSynchronize(done);
        }

        public ReadOnlySpan<byte> Read()
        {
            Settle();
            return _failure is null ? _bytes : throw _failure;
        }

        /// <summary>Takes the bytes out of the ring.</summary>
        internal void Settle()
        {
            if (_bytes is not null || _failure is not null)
            {
                return;
            }

            device.MakeCurrent();
            try
            {
                Check(cuEventSynchronize(done), "Waiting for a step");
                _bytes = new ReadOnlySpan<byte>(pinned, bytes).ToArray();
            }
            catch (NativeException e)
            {
                _failure = e;
            }
        }
    }
}
