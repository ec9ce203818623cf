namespace TensorParallel.Coordinator.Planning.Fit;

/// <summary>
/// Units in a row and devices in a row: which consecutive units does each device get? Sums over any run of units are at
/// hand. Immutable.
/// </summary>
internal sealed class FitProblem
{
    private readonly FitModel _model;
    private readonly long[] _memory;
    private readonly long[] _read;

    // Units before which no stage ends: unit 1, where the embedding stays with the first layer.
    private readonly bool _embeddingStays;

    /// <param name="model">The model.</param>
    /// <param name="units">Those of its units that are to be placed.</param>
    /// <param name="devices">Places, in order.</param>
    /// <param name="embeddingStays">The embedding may not stand on a device of its own.</param>
    /// <param name="reserveBytes">Added to the last unit: room for layers that are brought to its device.</param>
    public FitProblem(
        FitModel model,
        IReadOnlyList<FitUnit> units,
        IReadOnlyList<FitDevice> devices,
        bool embeddingStays,
        long reserveBytes = 0)
    {
        _model = model;
        Units = units;
        Devices = devices;
        _embeddingStays = embeddingStays && units[0] == model.Embedding;
        _memory = new long[units.Count + 1];
        _read = new long[units.Count + 1];
        for (var i = 0; i < units.Count; i++)
        {
            _memory[i + 1] = _memory[i] + units[i].WeightBytes + units[i].KvBytes;
            _read[i + 1] = _read[i] + units[i].ReadBytes;
        }

        _memory[^1] += reserveBytes;
    }

    /// <summary>In the order of computing.</summary>
    public IReadOnlyList<FitUnit> Units { get; }

    /// <summary>In the order of stages.</summary>
    public IReadOnlyList<FitDevice> Devices { get; }

    /// <summary>Whether a stage may end before this unit.</summary>
    public bool MayCutBefore(int unit) => unit != 1 || !_embeddingStays;

    /// <summary>
    /// Weights, cache and workspace of units <paramref name="start"/> … <paramref name="end"/> − 1 on one device.
    /// </summary>
    public long MemoryBytes(int start, int end)
    {
        if (start == end)
        {
            return 0;
        }

        var hasEmbedding = Units[start] == _model.Embedding;
        var hasHead = Units[end - 1] == _model.Head;
        var layers = end - start - (hasEmbedding ? 1 : 0) - (hasHead ? 1 : 0);
        return _memory[end] - _memory[start]
            - (hasEmbedding && hasHead ? _model.SharedBytes : 0)
            + _model.Workspace.Common
            + (hasEmbedding ? _model.Workspace.Embedding : 0)
            + (layers > 0 ? _model.Workspace.Layers : 0)
            + (hasHead ? _model.Workspace.Head : 0);
    }

    /// <summary>Whether a device has the memory for a run of units.</summary>
    public bool Fits(int device, int start, int end) =>
        Devices[device].Bytes is not { } bytes || MemoryBytes(start, end) <= bytes;

    /// <summary>Time of a run of units on a device: bytes read over its speed.</summary>
    public double Time(int device, int start, int end) => (_read[end] - _read[start]) / Devices[device].Speed;
}
