using TensorParallel.Protocol.Generation;
using TensorParallel.Protocol.Parallel;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops;

namespace TensorParallel.Worker.Sampling;

/// <summary>
/// Device memory of a sampler, for the largest step: exactly the plan's <see cref="SamplerWorkspace"/>.
/// </summary>
internal sealed class SamplerBuffers : IDisposable
{
    private readonly Dictionary<string, Tensor> _tensors = [];
    private readonly int _ranks;

    /// <summary>Allocates everything, cleared; on failure nothing stays allocated.</summary>
    public SamplerBuffers(IDevice device, IReadOnlyList<IndexRange> parts, int rank, StepLimits limits)
    {
        _ranks = parts.Count;
        try
        {
            foreach (var buffer in SamplerWorkspace.For(parts[^1].End, parts[rank].Length, _ranks, limits))
            {
                var tensor = device.AllocateTensor(
                    buffer.DType, buffer.Rows, buffer.Columns, MemoryPurpose.Workspace);
                _tensors.Add(buffer.Name, tensor);
                if (buffer.Name != SamplerWorkspace.Counts)
                {
                    // Counts are cleared when a sequence needs them: until then their pages are not even touched.
                    device.Clear(tensor.Buffer, 0, tensor.Buffer.Bytes);
                }
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>I32 [MaxSequences, <see cref="SlotSettings.Words"/>].</summary>
    public Tensor Settings => _tensors[SamplerWorkspace.Settings];

    /// <summary>I32 [1, MaxSequences]: slots of a step's rows.</summary>
    public Tensor Slots => _tensors[SamplerWorkspace.Slots];

    /// <summary>I32 [1, MaxSequences]: positions of a step's rows.</summary>
    public Tensor Positions => _tensors[SamplerWorkspace.Positions];

    /// <summary>I32 [1, MaxSequences]: tokens of a step's rows.</summary>
    public Tensor Tokens => _tensors[SamplerWorkspace.Tokens];

    /// <summary>I32 [1, MaxSequences], by slot.</summary>
    public Tensor LastTokens => _tensors[SamplerWorkspace.LastTokens];

    /// <summary>F32 [1, MaxSequences]: raw logits of the drawn tokens.</summary>
    public Tensor Picked => _tensors[SamplerWorkspace.Picked];

    /// <summary>I32 [1, MaxStepTokens]: token ids on their way into counts.</summary>
    public Tensor Ids => _tensors[SamplerWorkspace.Ids];

    /// <summary>F32 [1, local vocabulary].</summary>
    public Tensor OwnRow => _tensors[SamplerWorkspace.OwnRow];

    /// <summary>F32 [1, vocabulary]; <see cref="OwnRow"/> where the vocabulary is not shared.</summary>
    public Tensor WholeRow => _tensors[_ranks == 1 ? SamplerWorkspace.OwnRow : SamplerWorkspace.WholeRow];

    /// <summary>I32 [MaxSequences, local vocabulary]: each slot's counts; undefined until they are cleared.</summary>
    public Tensor Counts => _tensors[SamplerWorkspace.Counts];

    /// <summary>I32 [rows, W]: this rank's summary.</summary>
    public Tensor Summary(int rows, SummaryLayout layout) =>
        Packed(_tensors[SamplerWorkspace.Summary], rows, layout.Words);

    /// <summary>I32 [rows, ranks · W]: the summaries of all ranks.</summary>
    public Tensor Summaries(int rows, SummaryLayout layout) => _ranks == 1
        ? Summary(rows, layout)
        : Packed(_tensors[SamplerWorkspace.Summaries], rows, _ranks * layout.Words);

    public void Dispose()
    {
        DeviceBuffer[] buffers = [.. _tensors.Values.Select(tensor => tensor.Buffer)];
        _tensors.Clear();
        Disposal.Of(buffers);
    }

    private static Tensor Packed(Tensor room, int rows, int columns) =>
        room with { Rows = rows, Columns = columns, RowStride = columns };
}
