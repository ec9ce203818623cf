using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Generation;
using TensorParallel.Protocol.Parallel;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops;

namespace TensorParallel.Worker.Sampling;

/// <summary>
/// Device memory of a sampler, for the largest step. S sequences, n ranks, V tokens: about 2.2 KiB · S · (n + 1) + 8 V
/// bytes; 64 sequences, 4 ranks, 152,000 tokens: 1.9 MB.
/// </summary>
internal sealed class SamplerBuffers : IDisposable
{
    private readonly IDevice _device;
    private readonly List<DeviceBuffer> _owned = [];
    private readonly Tensor _summary;
    private readonly Tensor _summaries;

    public SamplerBuffers(IDevice device, IReadOnlyList<IndexRange> parts, int rank, StepLimits limits)
    {
        _device = device;
        var sequences = limits.MaxSequences;
        _summary = Allocate(DType.I32, 1, sequences * SummaryLayout.MaxWords);
        var gathered = checked(sequences * SummaryLayout.MaxWords * parts.Count);
        _summaries = parts.Count == 1 ? _summary : Allocate(DType.I32, 1, gathered);
        Settings = Allocate(DType.I32, sequences, SlotSettings.Words);
        Slots = Allocate(DType.I32, 1, sequences);
        Positions = Allocate(DType.I32, 1, sequences);
        Tokens = Allocate(DType.I32, 1, sequences);
        LastTokens = Allocate(DType.I32, 1, sequences);
        Picked = Allocate(DType.F32, 1, sequences);
        Ids = Allocate(DType.I32, 1, Math.Max(1, limits.MaxStepTokens));
        OwnRow = Allocate(DType.F32, 1, parts[rank].Length);
        WholeRow = parts.Count == 1 ? OwnRow : Allocate(DType.F32, 1, parts[^1].End);
    }

    /// <summary>I32 [MaxSequences, <see cref="SlotSettings.Words"/>].</summary>
    public Tensor Settings { get; }

    /// <summary>I32 [1, MaxSequences]: slots of a step's rows.</summary>
    public Tensor Slots { get; }

    /// <summary>I32 [1, MaxSequences]: positions of a step's rows.</summary>
    public Tensor Positions { get; }

    /// <summary>I32 [1, MaxSequences]: tokens of a step's rows.</summary>
    public Tensor Tokens { get; }

    /// <summary>I32 [1, MaxSequences], by slot.</summary>
    public Tensor LastTokens { get; }

    /// <summary>F32 [1, MaxSequences]: raw logits of the drawn tokens.</summary>
    public Tensor Picked { get; }

    /// <summary>I32 [1, MaxStepTokens]: token ids on their way into counts.</summary>
    public Tensor Ids { get; }

    /// <summary>F32 [1, local vocabulary].</summary>
    public Tensor OwnRow { get; }

    /// <summary>F32 [1, vocabulary].</summary>
    public Tensor WholeRow { get; }

    /// <summary>I32 [rows, W]: this rank's summary.</summary>
    public Tensor Summary(int rows, SummaryLayout layout) =>
        _summary with { Rows = rows, Columns = layout.Words, RowStride = layout.Words };

    /// <summary>I32 [rows, ranks · W]: the summaries of all ranks.</summary>
    public Tensor Summaries(int rows, SummaryLayout layout)
    {
        var columns = layout.Words * (_summaries.Columns / _summary.Columns);
        return _summaries with { Rows = rows, Columns = columns, RowStride = columns };
    }

    public void Dispose() => _owned.ForEach(b => b.Dispose());

    private Tensor Allocate(DType dtype, int rows, int columns)
    {
        var tensor = _device.AllocateTensor(dtype, rows, columns, MemoryPurpose.Workspace);
        _device.Clear(tensor.Buffer, 0, tensor.Buffer.Bytes);
        _owned.Add(tensor.Buffer);
        return tensor;
    }
}
