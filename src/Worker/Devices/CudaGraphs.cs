using TensorParallel.Worker.Native;

namespace TensorParallel.Worker.Devices;

/// <summary>
/// Repeated work as CUDA graphs. A key's first run is issued plainly, which loads kernels and makes what they need; its second is
/// captured; from then on it is replayed. The graphs used last are kept.
/// </summary>
internal sealed class CudaGraphs(CudaDevice device) : IRepeatedWork
{
    // A graph of 300 kernels takes about a megabyte of the device.
    private const int MostGraphs = 64;

    private readonly HashSet<object> _seen = [];
    private readonly Dictionary<object, Entry> _graphs = [];
    private long _runs;

    public bool PrefersFewKeys => true;

    /// <summary>Graphs captured so far.</summary>
    public int Captured { get; private set; }

    public bool Run(object key, Action issue)
    {
        if (!_seen.Contains(key))
        {
            issue();
            _seen.Add(key);
            return false;
        }

        if (!_graphs.TryGetValue(key, out var entry))
        {
            MakeRoom();
            _graphs[key] = entry = new Entry(Capture(issue));
        }

        entry.LastRun = ++_runs;
        entry.Graph.Replay();
        return true;
    }

    public void Dispose()
    {
        if (_graphs.Count > 0)
        {
            CudaGraph[] graphs = [.. _graphs.Values.Select(entry => entry.Graph)];
            _graphs.Clear();
            Disposal.Run([device.Synchronize, .. graphs.Select(graph => (Action)graph.Dispose)]); // a replay may be under way
        }
    }

    private CudaGraph Capture(Action issue)
    {
        try
        {
            var graph = CudaGraph.Capture(device, issue);
            Captured++;
            return graph;
        }
        catch (NativeException e)
        {
            throw new NativeException(
                $"{device.Name} cannot record a step as a CUDA graph: {e.Message} Set {CudaDevice.GraphsVariable}=0 to run without.",
                e.Status);
        }
    }

    private void MakeRoom()
    {
        if (_graphs.Count < MostGraphs)
        {
            return;
        }

        var oldest = _graphs.MinBy(known => known.Value.LastRun).Key;
        device.Synchronize(); // a replay of it may be under way
        _graphs.Remove(oldest, out var entry);
        entry!.Graph.Dispose();
    }

    private sealed class Entry(CudaGraph graph)
    {
        public CudaGraph Graph => graph;

        public long LastRun { get; set; }
    }
}
