using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Ops.Cuda;

/// <summary>
/// The operations on an NVIDIA GPU: launches on the device's stream that neither wait nor allocate, so that a step can be captured
/// once its kernels are loaded. Activations have the model's dtype; sums are f32. A token's row may differ in its last bits
/// with the number of rows beside it (other kernels serve 1-16 rows than more), but a step repeats exactly.
/// <para>
/// Kernels may start before their predecessor has ended and read weights then: the weight of a product may not be written by the
/// launch just before it. Attention of a pure decode step reads positions, tables and the keys and values of earlier tokens then: they
/// must be there before the last copy from the host, or before the graph that the step is part of.
/// </para>
/// </summary>
internal sealed partial class CudaOps : IDeviceOps
{
    /// <summary>Set to 0, decode attention reads nothing before the launch ahead of it has ended.</summary>
    internal const string EarlyReadsVariable = "TP_CUDA_EARLY_READS";

    /// <summary>
    /// Which operations go into the kernel before or after them: <c>all</c> (unset), <c>activation</c>, <c>rotation</c> or <c>none</c>.
    /// </summary>
    internal const string FusedVariable = "TP_CUDA_FUSED";

    /// <summary>Set to 0, gemm_stream.cu makes no products; to 1, all that it can.</summary>
    internal const string StreamedVariable = "TP_CUDA_STREAMED_PRODUCTS";

    private const int RowThreads = 256;

    private static readonly string s_fused = Environment.GetEnvironmentVariable(FusedVariable) switch
    {
        null or "" => "all",
        ("all" or "activation" or "rotation" or "none") and var known => known,
        var other => throw new ArgumentException($"{FusedVariable} is \"{other}\", but all, activation, rotation and none are known."),
    };

    private static readonly bool? s_streams = Environment.GetEnvironmentVariable(StreamedVariable) switch
    {
        null or "" => null,
        "0" => false,
        "1" => true,
        var other => throw new ArgumentException($"{StreamedVariable} is \"{other}\", but 0 and 1 are known."),
    };

    private readonly CudaDevice _device;
    private readonly MatrixProducts? _products;
    private readonly DeviceBuffer _sums;
    private readonly DeviceBuffer _partials;
    private readonly DeviceBuffer _arrivals;

    /// <summary>Operations on <paramref name="device"/>, which stays the caller's. Allocates the scratch of all operations.</summary>
    public CudaOps(CudaDevice device)
    {
        _device = device;
        _products = Native.CublasLt.UnavailableReason is null ? new MatrixProducts(device) : null;
        _sums = device.Allocate(_products is null ? sizeof(float) : SumBytes, MemoryPurpose.Scratch);
        _partials = device.Allocate(DeviceScratch.DecodePartBytes, MemoryPurpose.Scratch);
        _arrivals = device.Allocate(DeviceScratch.DecodeArrivalBytes, MemoryPurpose.Scratch);
        device.Clear(_arrivals, 0, _arrivals.Bytes);
    }

    /// <summary>
    /// For benchmarks: weight rows of a block for products of one and two rows (2, 4 or 8), or 0 for the tensor-core kernel; null:
    /// chosen by shape.
    /// </summary>
    public int? FewWeightRows { get; set; }

    /// <summary>For benchmarks and tests: whether gemm_stream.cu makes products, where it can; null: where it is the fastest.</summary>
    public bool? StreamsProducts { get; set; } = s_streams;

    /// <summary>For benchmarks and tests: stages and parts of gemm_stream.cu; null: chosen by shape.</summary>
    public (int Stages, int Parts)? StreamCut { get; set; }

    /// <summary>For benchmarks: whether products of few rows apply the gated activation themselves.</summary>
    public bool FusesActivation { get; set; } = s_fused is "all" or "activation";

    /// <summary>For benchmarks: whether decode attention rotates and writes the cache itself.</summary>
    public bool FusesRotation { get; set; } = s_fused is "all" or "rotation";

    /// <summary>For benchmarks and tests: the kernel of prefill attention, where it can be had; null: the best.</summary>
    public PrefillMethod? PrefillMethod { get; set; }

    /// <summary>For benchmarks and tests: which rows a block of prefill attention has, where it can be had; null: as their number suggests.</summary>
    public PrefillSpread? PrefillSpread { get; set; }

    /// <summary>For benchmarks and tests: how parts of decode attention join, where it can be had; null: the best.</summary>
    public DecodeJoin? DecodeJoin { get; set; }

    /// <summary>For benchmarks and tests: blocks of decode attention that a multiprocessor is to hold, 1 or 2; null: as contexts suggest.</summary>
    public int? DecodeBlocksEach { get; set; }

    /// <summary>
    /// Whether decode attention reads what earlier steps wrote before the launch ahead of it has ended; the environment's word, or a
    /// benchmark's.
    /// </summary>
    public bool ReadsEarly { get; set; } = Environment.GetEnvironmentVariable(EarlyReadsVariable) != "0";

    public IDevice Device => _device;

    public DType ActivationDType(DType modelDType) => CudaElement.All.Contains(modelDType)
        ? modelDType
        : throw new ArgumentException($"No kernel computes with {modelDType}.", nameof(modelDType));

    /// <summary>Returns the scratch memory.</summary>
    public void Dispose()
    {
        _products?.Dispose();
        _sums.Dispose();
        _partials.Dispose();
        _arrivals.Dispose();
    }

    private static int CeilDiv(int value, int divisor) => (value + divisor - 1) / divisor;
}
