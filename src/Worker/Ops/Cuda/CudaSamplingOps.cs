using System.Numerics;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Ops.Cuda;

/// <summary>
/// Sampling on an NVIDIA GPU: launches on the device's stream that copy nothing to the host and do not wait. It draws the CPU's tokens from
/// the same logits: the same noise and the same order of ties, scores and weights in doubles. A difference needs two scores, or a sum
/// and its bound, that agree to some 13 digits.
/// <para>
/// The shapes of the launches depend on the number of rows, the local vocabulary, the layout and the number of ranks alone. The first call
/// with a larger shape allocates scratch memory; what was allocated before stays, since captured launches go on using it. Used by one
/// thread; the device stays the caller's.
/// </para>
/// </summary>
internal sealed partial class CudaSamplingOps : ISamplingOps, IDisposable
{
    /// <summary>Environment variable; <c>host</c> chooses <see cref="CudaHostSamplingOps"/> instead.</summary>
    internal const string ChoiceVariable = "TP_CUDA_SAMPLING";

    // As the kernels' #defines.
    private const int ScanThreads = 256;
    private const int JoinThreads = 512;
    private const int RowThreads = 128;
    private const int Quad = 4;
    private const int ChunkTokens = 128;
    private const int PartBytes = 48;
    private const int MaxCandidates = 256;

    // Candidates of all ranks that are sorted in shared memory: 64 KB, which every GPU has.
    private const int MaxKeys = 8192;

    private readonly CudaDevice _device;
    private readonly List<DeviceBuffer> _outgrown = [];
    private DeviceBuffer _scratch;
    private DeviceBuffer _arrivals;

    /// <summary>Sampling on <paramref name="device"/>.</summary>
    public CudaSamplingOps(CudaDevice device)
    {
        _device = device;
        _scratch = device.Allocate(DeviceScratch.SamplingBytes(1, 1), MemoryPurpose.Scratch);
        _arrivals = device.Allocate(DeviceScratch.SamplingArrivalBytes(1), MemoryPurpose.Scratch);
        device.Clear(_arrivals, 0, _arrivals.Bytes);
    }

    public void Reserve(int rows, int tokens)
    {
        _scratch = Replaced(_scratch, DeviceScratch.SamplingBytes(rows, tokens));
        _arrivals = Replaced(_arrivals, DeviceScratch.SamplingArrivalBytes(rows));
    }

    public void Choose(
        Tensor summaries, IReadOnlyList<IndexRange> parts, SamplingRows rows, SummaryLayout layout, Tensor outcomes)
    {
        CheckLayout(layout);
        CudaOperand.Check(_device, summaries, DType.I32, rows.Count, parts.Count * layout.Words);
        CudaOperand.Check(_device, outcomes, DType.I32, 1, rows.Count);
        var keys = checked(parts.Count * layout.Candidates);
        if (parts.Count > 64 || keys > MaxKeys)
        {
            throw new ArgumentException(
                $"{parts.Count} ranks with {layout.Candidates} candidates are too many to sample from on a GPU: at most 64, and "
                + $"{MaxKeys} candidates in all.", nameof(parts));
        }

        if (rows.Count == 0)
        {
            return;
        }

        var longer = 0UL;
        for (var rank = 0; rank < parts.Count; rank++)
        {
            longer |= parts[rank].Length > layout.Candidates ? 1UL << rank : 0;
        }

        var arguments = new CudaArguments.SamplingChoice
        {
            Rows = RowArguments(rows, null),
            Summaries = summaries.Address,
            Outcomes = outcomes.Address,
            Stride = summaries.RowStride,
            Longer = longer,
            Ranks = parts.Count,
            Words = layout.Words,
            Candidates = layout.Candidates,
            Whole = layout.IsWhole ? 1 : 0,
        };
        var shared = sizeof(ulong) * (int)BitOperations.RoundUpToPowerOf2((uint)Math.Max(2, keys));
        var threads = layout.Candidates == 1 || layout.IsWhole ? 32 : JoinThreads;
        var kernel = _device.Modules.Get(CudaKernels.SamplingChoose(), sizeof(ulong) * MaxKeys);
        _device.Launch(kernel, new CudaGrid(rows.Count, 1, 1, threads, shared), arguments);
    }

    public void ChooseFromAll(Tensor all, SamplingRows rows, int row, Tensor outcomes)
    {
        CudaOperand.Check(_device, all, DType.F32, 1, all.Columns);
        CudaOperand.Check(_device, outcomes, DType.I32, 1, rows.Count);
        var arguments = new CudaArguments.SamplingWhole
        {
            Rows = RowArguments(rows, null),
            All = all.Address,
            Outcomes = outcomes.Address,
            Row = CheckedRow(rows, row),
            N = all.Columns,
            Wide = IsWide(all),
        };
        _device.Launch(_device.Modules.Get(CudaKernels.SamplingWhole()), new CudaGrid(1, 1, 1, JoinThreads), arguments);
    }

    /// <summary>Returns the scratch memory.</summary>
    public void Dispose()
    {
        _outgrown.ForEach(b => b.Dispose());
        _scratch.Dispose();
        _arrivals.Dispose();
    }

    /// <summary>The buffer, or a larger one in its place; the old one stays, because captured launches have its address.</summary>
    private DeviceBuffer Grown(DeviceBuffer buffer, long bytes)
    {
        if (bytes <= buffer.Bytes)
        {
            return buffer;
        }

        var larger = _device.Allocate((long)BitOperations.RoundUpToPowerOf2((ulong)bytes), MemoryPurpose.Scratch);
        _outgrown.Add(buffer);
        _device.Clear(larger, 0, larger.Bytes);
        return larger;
    }

    // Before anything is captured: nobody has the old one's address.
    private DeviceBuffer Replaced(DeviceBuffer buffer, long bytes)
    {
        if (bytes <= buffer.Bytes)
        {
            return buffer;
        }

        buffer.Dispose();
        var larger = _device.Allocate(bytes, MemoryPurpose.Scratch);
        _device.Clear(larger, 0, larger.Bytes);
        return larger;
    }

    private CudaArguments.SamplingRows RowArguments(SamplingRows rows, int? localTokens)
    {
        CudaOperand.Check(_device, rows.Slots, DType.I32, 1, rows.Count);
        CudaOperand.Check(_device, rows.Positions, DType.I32, 1, rows.Count);
        CudaOperand.Check(_device, rows.Settings, DType.I32, rows.Settings.Rows, SlotSettings.Words);
        if (localTokens is { } tokens)
        {
            CudaOperand.Check(_device, rows.Counts, DType.I32, rows.Settings.Rows, tokens);
        }

        return new CudaArguments.SamplingRows
        {
            Slots = rows.Slots.Address,
            Positions = rows.Positions.Address,
            Settings = rows.Settings.Address,
            Counts = localTokens is null ? 0 : rows.Counts.Address,
            SettingsStride = rows.Settings.RowStride,
            CountsStride = localTokens is null ? 0 : rows.Counts.RowStride,
        };
    }

    private static void CheckLayout(SummaryLayout layout)
    {
        if (layout.Candidates is < 1 or > MaxCandidates || layout.LogProbs is < 0 or > MaxCandidates)
        {
            throw new ArgumentException(
                $"{layout} cannot be computed on a GPU: 1 to {MaxCandidates} candidates, and at most as many log-probabilities.",
                nameof(layout));
        }
    }

    private static int CheckedRow(SamplingRows rows, int row) => row >= 0 && row < rows.Count
        ? row
        : throw new ArgumentOutOfRangeException(nameof(row), row, $"There are {rows.Count} rows.");

    // Whether all quads that lie inside their rows may be read at once.
    private static int IsWide(Tensor tensor) =>
        tensor.Address % 16 == 0 && (tensor.Rows <= 1 || tensor.RowStride % Quad == 0) ? 1 : 0;

    private static int CeilDiv(int value, int divisor) => (int)(((long)value + divisor - 1) / divisor);
}
