using TensorParallel.Worker.Native;
using static TensorParallel.Worker.Native.CudaDriver;

namespace TensorParallel.Worker.Devices;

/// <summary>
/// One NVIDIA GPU: its primary context, one stream on which everything runs in order, and its memory. Any thread may call, one
/// at a time, and <see cref="CopyToDevice"/> from several at once.
/// </summary>
internal sealed unsafe partial class CudaDevice : IDevice
{
    /// <summary>Set to 0, kernels start only when the one before has ended.</summary>
    internal const string EarlyLaunchVariable = "TP_CUDA_EARLY_LAUNCH";

    /// <summary>Set to 0, no work is recorded as graphs.</summary>
    internal const string GraphsVariable = "TP_CUDA_GRAPHS";

    private readonly int _handle;
    private readonly nint _context;
    private readonly CudaStaging _staging;
    private readonly CudaReadback _readback;
    private readonly bool _poison;
    private bool _disposed;

    /// <summary>Opens GPU <paramref name="ordinal"/> of those that the driver shows.</summary>
    /// <param name="ordinal">Number among the visible GPUs.</param>
    /// <param name="poison">Fill fresh memory with 0xFF (NaN in every float dtype), so that tests notice reads of unset memory.</param>
    /// <param name="evictable">Weights and KV cache can be evicted; they stand in memory whose addresses outlast it.</param>
    /// <exception cref="NativeException">No driver, no such GPU, or one that is too old.</exception>
    public CudaDevice(int ordinal, bool poison = false, bool evictable = false)
    {
        if (UnavailableReason is { } reason)
        {
            throw new NativeException(reason);
        }

        int count;
        Check(cuDeviceGetCount(&count));
        if (ordinal < 0 || ordinal >= count)
        {
            throw new NativeException($"cuda:{ordinal} does not exist: the driver shows {count} GPU(s), 0 to {count - 1}.");
        }

        int handle;
        Check(cuDeviceGet(&handle, ordinal));
        _handle = handle;
        _poison = poison;
        Name = $"cuda:{ordinal}";
        Model = ReadName(handle);
        Multiprocessors = Attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
        SharedMemoryBytes = Attribute(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
        var major = Attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
        Capability = (major * 10) + Attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
        if (Capability < 80)
        {
            throw new NativeException(
                $"{Name} ({Model}) has compute capability {major}.{Capability % 10}, but 8.0 is needed; use the CPU for it.");
        }

        EarlyLaunch = Capability >= 90 && Environment.GetEnvironmentVariable(EarlyLaunchVariable) != "0";
        nint context, stream;
        Check(cuDevicePrimaryCtxRetain(&context, handle));
        _context = context;
        MakeCurrent();
        Check(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
        Stream = stream;
        _staging = new CudaStaging(stream);
        _readback = new CudaReadback(this);
        Modules = new CudaModuleCache(this);
        if (evictable)
        {
            MakeEvictable(handle);
        }
    }

    public string Name { get; }

    /// <summary>Product name, for example <c>NVIDIA H200</c>.</summary>
    public string Model { get; }

    /// <summary>Compute capability, 90 for 9.0.</summary>
    public int Capability { get; }

    /// <summary>Multiprocessors; launch shapes follow it.</summary>
    public int Multiprocessors { get; }

    /// <summary>Most shared memory of one block, in bytes.</summary>
    public int SharedMemoryBytes { get; }

    /// <summary>Whether a kernel may begin before its predecessor has ended (kernels wait inside, see common.cuh).</summary>
    public bool EarlyLaunch { get; }

    /// <summary>Whether <see cref="RepeatWork"/> records graphs: the environment's word, or a test's.</summary>
    public bool RecordsGraphs { get; set; } = Environment.GetEnvironmentVariable(GraphsVariable) != "0";

    /// <summary>
    /// Whether what is issued is being recorded instead of run: nothing may be allocated, waited for or copied to or from the host.
    /// </summary>
    public bool IsCapturing { get; internal set; }

    /// <summary>The stream; collectives and captures use it too.</summary>
    public nint Stream { get; }

    /// <summary>Compiled kernels.</summary>
    public CudaModuleCache Modules { get; }

    /// <summary>Makes the context current on the calling thread; every entry point does it, native callers of their own must.</summary>
    public void MakeCurrent()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        Check(cuCtxSetCurrent(_context));
    }

    public void Synchronize()
    {
        MakeCurrent();
        Check(cuStreamSynchronize(Stream));
    }

    /// <summary>
    /// Starts a kernel on the stream. <paramref name="arguments"/> is the kernel's one parameter, a struct of the same layout.
    /// </summary>
    public void Launch<TArguments>(CudaFunction function, CudaGrid grid, in TArguments arguments)
        where TArguments : unmanaged
    {
        MakeCurrent();
        var attributes = stackalloc CUlaunchAttribute[2];
        var count = 0u;
        if (EarlyLaunch && !_isHeld)
        {
            attributes[count++] = new() { id = CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION, value = 1 };
        }

        if (grid.ClusterX > 1)
        {
            attributes[count++] = ClusterOf(grid);
        }

        _isHeld = false;
        var config = ConfigOf(grid, attributes, count);
        fixed (TArguments* pointer = &arguments)
        {
            void* parameter = pointer;
            var status = cuLaunchKernelEx(&config, function.Handle, &parameter, null);
            if (status != CUDA_SUCCESS)
            {
                throw new NativeException(
                    $"{Name}: launching {function.Name} as {grid} failed with {Describe(status)}.", status);
            }
        }
    }

    /// <summary>Clusters of such a launch that the empty device holds at once: some multiprocessors of a group may be left over.</summary>
    public int ClustersAtOnce(CudaFunction function, CudaGrid grid)
    {
        MakeCurrent();
        var attribute = ClusterOf(grid);
        var config = ConfigOf(grid, &attribute, 1);
        int clusters;
        Check(cuOccupancyMaxActiveClusters(&clusters, function.Handle, &config), $"cuOccupancyMaxActiveClusters of {function.Name} as {grid}");
        return clusters;
    }

    public IRepeatedWork RepeatWork() => RecordsGraphs ? new CudaGraphs(this) : new ImmediateWork();

    public void Dispose()
    {
        if (_disposed)
        {
            return;
        }

        Disposal.Run(
            Synchronize,
            DisposeBuffers,
            () => Disposal.Of(_evictable.Values),
            Modules.Dispose,
            _staging.Dispose,
            _readback.Dispose,
            () => Check(cuStreamDestroy(Stream)),
            Leave,
            () => Check(cuDevicePrimaryCtxRelease(_handle)));
    }

    private static CUlaunchAttribute ClusterOf(CudaGrid grid) => new()
    {
        id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION,
        clusterX = (uint)grid.ClusterX,
        clusterY = 1,
        clusterZ = 1,
    };

    private CUlaunchConfig ConfigOf(CudaGrid grid, CUlaunchAttribute* attributes, uint count) => new()
    {
        gridDimX = (uint)grid.X,
        gridDimY = (uint)grid.Y,
        gridDimZ = (uint)grid.Z,
        blockDimX = (uint)grid.Threads,
        blockDimY = 1,
        blockDimZ = 1,
        sharedMemBytes = (uint)grid.SharedBytes,
        hStream = Stream,
        attrs = attributes,
        numAttrs = count,
    };

    private void Leave()
    {
        _disposed = true;
        Check(cuCtxSetCurrent(0));
    }

    private static string ReadName(int handle)
    {
        var name = stackalloc byte[256];
        Check(cuDeviceGetName(name, 256, handle));
        return System.Runtime.InteropServices.Marshal.PtrToStringUTF8((nint)name) ?? "GPU";
    }

    private int Attribute(int attribute)
    {
        int value;
        Check(cuDeviceGetAttribute(&value, attribute, _handle));
        return value;
    }
}
