using TensorParallel.Protocol.Generation;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Execution;

namespace TensorParallel.Worker.Session;

/// <summary>A loaded model with all it stands on.</summary>
/// <param name="model">The model.</param>
/// <param name="device">Its device.</param>
/// <param name="owned">Everything to dispose, last made first.</param>
internal sealed class RankModel(WorkerModel model, IDevice device, Stack<IDisposable> owned) : IRankModel
{
    /// <inheritdoc/>
    public long BytesRead => model.LoadReport.BytesRead;

    /// <inheritdoc/>
    public IReadOnlyList<MemoryUse> MemoryUse() => device.MemoryUse();

    /// <inheritdoc/>
    public IPendingStep Issue(StepBatch batch) => model.Issue(batch);

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
