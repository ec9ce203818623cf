using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Benchmarks.Ops;

/// <summary>
/// A plain SIMD sum over 1 GiB by all threads: what the machine reads from memory. Kept ready, so that it can be asked in the same
/// second as something else. Used by one thread.
/// </summary>
internal sealed unsafe class MemorySum : IDisposable
{
    /// <summary>Bytes of one slice.</summary>
    public const long SliceBytes = 32 << 20;

    private const long Bytes = 1L << 30;
    private const int PartBytes = 1 << 20;

    private readonly CpuDevice _device;
    private readonly DeviceBuffer _buffer;
    private long _next;

    /// <summary>Allocates the memory and fills it.</summary>
    public MemorySum(int threads)
    {
        _device = new CpuDevice("cpu:0", threads, long.MaxValue);
        _buffer = _device.Allocate(Bytes, MemoryPurpose.Workspace);
        new Span<byte>((void*)_buffer.Address, PartBytes).Fill(1);
        for (var at = (long)PartBytes; at < Bytes; at += PartBytes)
        {
            Buffer.MemoryCopy((void*)_buffer.Address, (void*)(_buffer.Address + at), PartBytes, PartBytes);
        }
    }

    /// <summary>Adds up the next 32 MiB of a walk over all of it: when they come again they have long left the caches.</summary>
    public void AddSlice()
    {
        _device.Threads.Run((int)(SliceBytes / PartBytes), new SumWork(_buffer.Address + (nint)_next));
        _next = (_next + SliceBytes) % Bytes;
    }

    /// <summary>GB/s of the sum over all of it <paramref name="times"/> times, pauses of the machine included.</summary>
    public double SustainedGBytes(int times)
    {
        var slices = times * (int)(Bytes / SliceBytes);
        var start = Stopwatch.GetTimestamp();
        for (var slice = 0; slice < slices; slice++)
        {
            AddSlice();
        }

        return slices * SliceBytes / 1e9 / Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    public void Dispose()
    {
        _buffer.Dispose();
        _device.Dispose();
    }

    private readonly struct SumWork(nint memory) : ICpuWork
    {
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Run(int part, int thread)
        {
            var p = (int*)(memory + ((nint)part * PartBytes));
            var end = p + (PartBytes / sizeof(int));
            Vector256<int> a = default, b = default, c = default, d = default;
            for (; p < end; p += 32)
            {
                a += Vector256.Load(p);
                b += Vector256.Load(p + 8);
                c += Vector256.Load(p + 16);
                d += Vector256.Load(p + 24);
            }

            if (Vector256.Sum(a + b + c + d) == 0)
            {
                throw new InvalidOperationException("The sum of ones cannot be zero.");
            }
        }
    }
}
