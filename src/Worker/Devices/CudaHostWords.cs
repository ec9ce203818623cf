using static TensorParallel.Worker.Native.CudaDriver;

namespace TensorParallel.Worker.Devices;

/// <summary>A few words of pinned host memory that kernels and the host read and write at any time.</summary>
internal sealed unsafe class CudaHostWords : IDisposable
{
    private readonly CudaDevice _device;
    private uint* _words;

    /// <summary>Allocates zeros.</summary>
    public CudaHostWords(CudaDevice device, int count)
    {
        _device = device;
        device.MakeCurrent();
        _words = (uint*)CudaPinnedMemory.Allocate((long)count * sizeof(uint), "for words that kernels see", CU_MEMHOSTALLOC_DEVICEMAP);
        new Span<uint>(_words, count).Clear();
    }

    /// <summary>Address for kernels: with unified addresses it is the host's.</summary>
    public nint Address => (nint)_words;

    /// <summary>What the word holds now; kernels see what is written here when they next look.</summary>
    public uint this[int index]
    {
        get => Volatile.Read(ref _words[index]);
        set => Volatile.Write(ref _words[index], value);
    }

    public void Dispose()
    {
        if (_words != null)
        {
            _device.MakeCurrent();
            Check(CudaPinnedMemory.Free(_words));
            _words = null;
        }
    }
}
