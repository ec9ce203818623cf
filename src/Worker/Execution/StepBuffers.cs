using TensorParallel.Protocol.Parallel;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Execution;

/// <summary>
/// The memory of a rank's steps, allocated once for the largest: exactly the plan's <see cref="WorkspaceBuffers"/>. A
/// step uses the first rows. Used by one thread.
/// </summary>
internal sealed class StepBuffers : IDisposable
{
    private readonly Dictionary<string, Tensor> _tensors = [];

    /// <summary>Allocates everything; on failure nothing stays allocated.</summary>
    public StepBuffers(IDevice device, IReadOnlyList<WorkspaceBuffer> buffers)
    {
        try
        {
            foreach (var buffer in buffers)
            {
                var memory = device.Allocate(buffer.Bytes, MemoryPurpose.Workspace);
                _tensors.Add(
                    buffer.Name, new Tensor(memory, 0, buffer.DType, buffer.Rows, buffer.Columns, buffer.Columns));
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The whole buffer of that name; throws where this rank has none.</summary>
    public Tensor this[string name] => Find(name) ?? throw new InvalidOperationException(
        $"This rank's plan has no buffer \"{name}\".");

    /// <summary>The whole buffer of that name; null where this rank has none.</summary>
    public Tensor? Find(string name) => _tensors.TryGetValue(name, out var tensor) ? tensor : null;

    public void Dispose()
    {
        DeviceBuffer[] buffers = [.. _tensors.Values.Select(tensor => tensor.Buffer)];
        _tensors.Clear();
        Disposal.Of(buffers);
    }
}
