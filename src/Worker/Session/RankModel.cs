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
    public IReadOnlyList<MemoryUse> MemoryUse() => measures.Device.MemoryUse();

    /// <inheritdoc/>
    public IReadOnlyList<Measuring.Figure> Measure(MeasureRequest request) => measures.Measure(request);

    /// <inheritdoc/>
    public StepResult Step(StepBatch batch)
    {
        measures.Times?.BeginStep();
        var result = model.Step(batch);
        measures.Times?.EndStep(batch.Sequences.Sum(sequence => sequence.Rows), result.ComputeMicroseconds);
        return result;
    }

    /// <inheritdoc/>
    public void Dispose() => Free(owned);

    internal static void Free(Stack<IDisposable> owned)
    {
        while (owned.TryPop(out var item))
        {
            item.Dispose();
        }
    }
}
