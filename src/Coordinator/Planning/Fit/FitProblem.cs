using TensorParallel.Coordinator.Planning.Offloading;

namespace TensorParallel.Coordinator.Planning.Fit;

/// <summary>
/// Units in a row and devices in a row: which consecutive units does each device get? Sums over any run of units are at
/// hand. Used by one thread.
/// </summary>
internal sealed class FitProblem
{
    // A byte over the bus costs as much as 64 from the fastest device's memory: 3,350 GB/s against 55 on an H100 is 61, 2,000 against
    // 25 on an A100 is 80. It only has to be clear that a layer fewer to bring is worth more than any other gain.
    private const double BusCost = 64;

    private readonly FitModel _model;
    private readonly long[] _memory;
    private readonly long[] _read;
    private readonly FitSpill? _spill;
    private readonly SpillRule? _rule;
    private readonly double _busSpeed;
    private readonly bool _isUniform;
    private readonly Dictionary<(long? Bytes, int Start, int End), SpillChoice?> _choices = [];

    // Units before which no stage ends: unit 1, where the embedding stays with the first layer.
    private readonly bool _embeddingStays;

    /// <param name="model">The model.</param>
    /// <param name="devices">Places, in order.</param>
    /// <param name="embeddingStays">The embedding may not stand on a device of its own.</param>
    /// <param name="spill">How stages that are too large are made to fit; null: they do not fit.</param>
    public FitProblem(
        FitModel model, IReadOnlyList<FitDevice> devices, bool embeddingStays, FitSpill? spill = null)
    {
        _model = model;
        Units = model.Units;
        Devices = devices;
        _embeddingStays = embeddingStays;
        _spill = spill;
        _rule = spill is null ? null : new SpillRule(spill.Offload);
        _busSpeed = devices.Count == 0 ? 1 : devices.Max(device => device.Speed) / BusCost;
        _isUniform = model.Layers
            .Select(layer => (layer.WeightBytes, layer.SlotBytes, layer.KvBytes)).Distinct().Count() <= 1;
        _memory = new long[Units.Count + 1];
        _read = new long[Units.Count + 1];
        for (var i = 0; i < Units.Count; i++)
        {
            _memory[i + 1] = _memory[i] + Units[i].WeightBytes + Units[i].KvBytes;
            _read[i + 1] = _read[i] + Units[i].ReadBytes;
        }
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

    /// <summary>The same on a device that some of the weights may leave: those that stay, and slots.</summary>
    public long MemoryBytes(int device, int start, int end) =>
        MemoryBytes(start, end) - (Choice(device, start, end)?.SavedBytes ?? 0);

    /// <summary>Whether a device has the memory for a run of units.</summary>
    public bool Fits(int device, int start, int end) =>
        Devices[device].Bytes is not { } bytes || MemoryBytes(device, start, end) <= bytes;

    /// <summary>Time of a run of units on a device: bytes read over its speed, and bytes brought to it over the bus.</summary>
    public double Time(int device, int start, int end) =>
        ((_read[end] - _read[start]) / Devices[device].Speed) + ((Choice(device, start, end)?.MovedBytes ?? 0) / _busSpeed);

    /// <summary>What leaves a device for a run of units; null: nothing may, nothing helps, or the run is empty.</summary>
    public SpillChoice? Choice(int device, int start, int end)
    {
        if (_rule is null || start == end)
        {
            return null;
        }

        // Of layers that are all alike, it does not matter which: most models have one length of stage to choose for, not one stage.
        if (_isUniform && start > 1 && end < Units.Count)
        {
            (start, end) = (1, 1 + end - start);
        }

        var key = (Devices[device].Bytes, start, end);
        if (!_choices.TryGetValue(key, out var choice))
        {
            _choices[key] = choice = Choose(Devices[device].Bytes, start, end);
        }

        return choice;
    }

    private SpillChoice? Choose(long? bytes, int start, int end)
    {
        var stage = _model.WeightsOf(start, end);
        var room = bytes - (MemoryBytes(start, end) - stage.TotalBytes);
        return _spill!.All ? _rule!.All(stage, room)
            : room is { } all ? _rule!.Least(stage, all)
            : SpillRule.None(stage);
    }
}
