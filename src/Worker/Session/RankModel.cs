using TensorParallel.Protocol.Generation;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Execution;

namespace TensorParallel.Worker.Session;

/// <summary>A loaded model with all it stands on.</summary>
/// <param name="model">The model.</param>
/// <param name="measures">Measures what it stands on.</param>
/// <param name="owned">Everything to dispose, last made first.</param>
internal sealed class RankModel(
    WorkerModel model, RankMeasures measures, Stack<IDisposable> owned) : IRankModel
{
    /// <inheritdoc/>
    public long BytesRead => model.LoadReport.BytesRead;

    /// <inheritdoc/>
    public IReadOnlyList<string> Notes { get; init; } = [];

    /// <inheritdoc/>
    public IReadOnlyList<MemoryUse> MemoryUse() => measures.Device.MemoryUse();

    /// <inheritdoc/>
    public DeviceMemory DeviceMemory() => measures.Device.Memory();

    /// <inheritdoc/>
    public void ResetPeaks() => measures.Device.ResetPeaks();

    /// <inheritdoc/>
    public MovedMemory Evict() => measures.Device.Evict();

    /// <inheritdoc/>
    public MovedMemory Restore() => measures.Device.Restore();

    /// <inheritdoc/>
    public IReadOnlyList<Measuring.Figure> Measure(MeasureRequest request) => measures.Measure(request);

    /// <inheritdoc/>
    public IPendingStep Issue(StepBatch batch)
    {
        if (measures.Times is not { } times)
        {
            return model.Issue(batch);
        }

        times.BeginStep();
        var result = model.Step(batch);
        times.EndStep(batch.Sequences.Sum(sequence => sequence.Rows));
        return new FinishedStep(result);
    }

    /// <inheritdoc/>
    public void Dispose() => Free(owned);

    internal static void Free(Stack<IDisposable> owned)
    {
        IDisposable[] all = [.. owned];
        owned.Clear();
        Disposal.Of(all);
    }
}
