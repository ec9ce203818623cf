using System.Globalization;
using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Modules;

namespace TensorParallel.Worker.Offloading;

/// <summary>
/// All of a rank's weights that are off its device: slots, homes, and what brings one to the other. Modules are built on its places,
/// loaded, and then <see cref="Begin"/> sets it going. Used by the thread that issues operations; owns all it allocates, and is disposed
/// after the modules.
/// </summary>
internal sealed class OffloadedWeights : IWeightPlaces, IDisposable
{
    // Below this a copy is over before its time can be told.
    private const long MeasuredBytes = 4 << 20;

    // Bytes a second of a file system, as long as nothing was read: only the order of magnitude counts.
    private const double AssumedFileRate = 2e9;

    private readonly OffloadPlan _plan;
    private readonly RankContext _context;
    private readonly DType _dtype;
    private readonly IReadOnlyDictionary<string, TensorInfo>? _tensors;
    private readonly Stack<IDisposable> _owned = [];
    private readonly Dictionary<string, IWeightPlace> _places = [];
    private readonly List<WeightGroup> _groups = [];
    private readonly List<DeviceBuffer> _memory = [];
    private readonly List<StreamSlot> _slots = [];
    private readonly GroupReader? _reader;
    private readonly ICopyQueue _queue;
    private readonly HostProducts? _host;
    private readonly OffloadOptions _options;
    private readonly WeightStream _stream;
    private GroupTimes? _measured;
    private TransferRates? _rates;
    private HostShare? _share;

    /// <summary>Allocates slots and homes; on failure nothing stays allocated.</summary>
    /// <param name="spec">The model.</param>
    /// <param name="plan">The plan.</param>
    /// <param name="context">This rank.</param>
    /// <param name="tensors">Where the tensors lie; null: they are in no file.</param>
    /// <param name="options">What the plan leaves open.</param>
    /// <exception cref="PlanException">Plan and model do not fit together, or weights in no file are to be read from one.</exception>
    /// <exception cref="DeviceMemoryException">There is too little memory.</exception>
    public OffloadedWeights(
        ModelSpec spec, ExecutionPlan plan, RankContext context, IReadOnlyDictionary<string, TensorInfo>? tensors,
        OffloadOptions options)
    {
        var (rank, mode) = (plan.Ranks[context.Rank], plan.Mode);
        _plan = rank.Offload ?? throw new ArgumentException("Nothing is off the device.", nameof(plan));
        (_context, _dtype, _tensors, _options) = (context, plan.DType, tensors, options);
        if (tensors is null && _plan.DiskBytes > 0)
        {
            var onDisk = _plan.Modules.First(module => module.Residency == Residency.Disk).Name;
            throw new PlanException(
                $"Rank {rank.Rank}: random weights are in no file, but \"{onDisk}\" is to be read from one for each use: leave them in " +
                "host memory (a larger cpu=… in --max-memory).");
        }

        try
        {
            var streamed = Streamed(spec, rank, options.HostCompute);
            var count = streamed.Count > 0 ? _plan.Slots : 0;
            for (var i = 0; i < count; i++)
            {
                _memory.Add(Own(context.Device.Allocate(Math.Max(1, _plan.SlotBytes), MemoryPurpose.Staging)));
            }

            foreach (var planned in streamed)
            {
                _groups.Add(Own(new WeightGroup(planned, context.Device)));
            }

            _host = streamed.Any(group => group.Residency == Residency.Host) && MayComputeOnHost(options, spec, mode, rank)
                ? Own(new HostProducts(context.Device, options.ComputeThreads, context.Times))
                : null;

            // What uses memory goes before the memory, and the threads that read before all.
            _queue = Own(context.Device.OpenCopyQueue());
            Assign();
            _reader = tensors is not null && _groups.Any(group => group.Home is null)
                ? new GroupReader(tensors, context.Device, rank.Rank, options.Threads, options.ChunkBytes)
                : null;
            _stream = Own(new WeightStream(_queue, _slots, _reader, context.Times));
            if (_reader is not null)
            {
                Own(_reader);
            }

            for (var i = 0; i < streamed.Count; i++)
            {
                foreach (var module in streamed[i].Modules)
                {
                    _places[module] = new GroupPlace(
                        _groups[i], _stream, context.Device, _groups[i].Home is null ? null : _host, module == streamed[i].Modules[^1]);
                }
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>
    /// Whether a step on a rank of this plan waits for the host or for copies of its own, so that it cannot be recorded as one piece.
    /// Host memory that operations read where it lies is no obstacle.
    /// </summary>
    public static bool Interrupts(ModelSpec spec, RankPlan rank) => rank.Offload is { } plan && plan.Modules.Any(module =>
        module.Residency == Residency.Disk || (module.Residency == Residency.Host && module.Name != spec.Embedding.Name));

    /// <summary>What is off the device and how it comes there, with what was measured; a line each. After <see cref="Begin"/>.</summary>
    public IReadOnlyList<string> Notes { get; private set; } = [];

    /// <summary>Whether issuing a step waits for files or makes products. After <see cref="Begin"/>.</summary>
    public bool HoldsUpIssue => _reader is not null || _share is not null || _plan.DiskBytes > 0;

    public Residency ResidencyOf(string module) => _plan.ResidencyOf(module);

    public IWeightPlace Of(string module)
    {
        if (!_places.TryGetValue(module, out var place))
        {
            place = ResidencyOf(module) == Residency.Host ? new HomePlace(_context.Device) : new ResidentPlace(_context.Device);
            _places.Add(module, place);
        }

        return place;
    }

    public Tensor? HomeOf(string module, Tensor tensor) => Of(module) switch
    {
        GroupPlace place => place.Group.AtHome(tensor),
        HomePlace => tensor,
        _ => null,
    };

    public IEmbeddingTable RowsFromFiles(TensorSlice slice, int fullRows, int fullColumns) =>
        _tensors is not null && _tensors.TryGetValue(slice.Name, out var tensor)
            ? Own(new FileTable(tensor, slice, fullRows, fullColumns, _dtype, _context.Device, _context.Rank))
            : throw new CheckpointException($"Tensor \"{slice.Name}\" of the plan is not in the checkpoint: they do not belong together.");

    /// <summary>All modules are built and all homes loaded: the first groups may come.</summary>
    public void Begin()
    {
        // A tied head whose table is on the device has nothing left to bring.
        var used = _groups.Where(group => group.UsedBytes > 0).ToList();
        for (var i = 0; i < _memory.Count; i++)
        {
            _slots.Add(new StreamSlot(_memory[i], [.. used.Where(group => group.SlotNumber == i)], _queue));
        }

        foreach (var group in used.Where(group => group.Home is null))
        {
            _reader!.Prepare(group);
        }

        _context.Device.Synchronize(); // homes that the device itself has written
        IReadOnlyList<WeightGroup> withHome = [.. used.Where(group => group.Home is not null)];

        // Not all groups have products that the host can make: a tied head is the embedding's table.
        IReadOnlyList<WeightGroup> hosted = [.. withHome.Where(group => group.Hosted.Count > 0)];
        var host = hosted.Count > 0 ? _host : null;
        if (withHome.Count > 0)
        {
            _rates = TransferRates.Measure(host, _queue, _memory, host is null ? withHome : hosted);
            _stream.BusBytesPerSecond = _rates.BusBytesPerSecond;
            _share = host is null || Share(_rates, [.. Moving(hosted)]) is not { IsEmpty: false } share ? null : share;
        }

        _stream.Begin(_share);
        Notes = [.. Describe(used)];
    }

    public void Dispose()
    {
        IDisposable[] owned = [.. _owned];
        _owned.Clear();
        Disposal.Of(owned);
    }

    // Groups take turns in the slots; where measured times say so, some slots keep one group each instead.
    private void Assign()
    {
        IReadOnlyList<int> numbers = [.. Enumerable.Range(0, _groups.Count).Select(i => i % _memory.Count)];
        if (_plan.Kind == OffloadKind.Group && _memory.Count > 2 && _memory[0].Bytes >= MeasuredBytes
            && _groups.FirstOrDefault(group => group.Home is not null) is { } measured)
        {
            var (bus, device) = TransferRates.OfDevice(_context.Device, _queue, _memory, measured.Home!);
            IReadOnlyList<GroupTimes> times = [.. _groups.Select(group => new GroupTimes(
                group.Home is null, group.PlannedBytes / (group.Home is null ? AssumedFileRate : bus), group.PlannedBytes / device))];
            numbers = SlotChoice.Choose(times, _memory.Count);
            _measured = times.MaxBy(time => time.Come);
        }

        for (var i = 0; i < _groups.Count; i++)
        {
            _groups[i].Assign(numbers[i], _memory[numbers[i]]);
        }
    }

    /// <summary>
    /// Whether the host may make some of the products. Ranks choose for themselves, and a product on the host may be rounded otherwise than
    /// on the device: what every rank computes for itself and must be the same on all, whole matrices under tensor parallelism, is left to
    /// the device.
    /// </summary>
    private bool MayComputeOnHost(OffloadOptions options, ModelSpec spec, PlanMode mode, RankPlan rank)
    {
        var isWanted = options.HostShare is { } share ? share > 0 : options.HostCompute != false && !_context.Device.IsHostMemory;
        var matrices = spec.Blocks.SelectMany(block => block.Linears).Append(spec.OutputHead)
            .Select(linear => linear.WeightName).ToHashSet();
        return isWanted && (_context.Size == 1 || mode == PlanMode.DeviceMap
            || rank.Tensors.Where(tensor => matrices.Contains(tensor.Name)).All(tensor => tensor.Dim is not null));
    }

    private HostShare Share(TransferRates rates, IReadOnlyList<WeightGroup> groups)
    {
        if ((_options.HostShare ?? (_options.HostCompute == true ? 1 : null)) is { } given)
        {
            return new HostShare(groups, [(HostProducts.MostRows, given)]);
        }

        return new HostShare(
            groups, [.. rates.Host.Select(rate => (rate.Rows, HostShare.Of(rate.BytesPerSecond, rates.BusBytesPerSecond)))]);
    }

    private IEnumerable<string> Describe(List<WeightGroup> used)
    {
        var host = _context.Device.MemoryUse().FirstOrDefault(use => use.Purpose == MemoryPurpose.HostWeights).Current;
        yield return string.Create(
            CultureInfo.InvariantCulture,
            $"weights off the device: {host / 1e6:N0} MB in host memory, {_plan.DiskBytes / 1e6:N0} MB read from files for each use");
        if (used.Count == 0)
        {
            yield break;
        }

        var staying = used.Count(group => _slots[group.SlotNumber].Groups.Count == 1);
        yield return string.Create(
            CultureInfo.InvariantCulture,
            $"{used.Count} groups of up to {used.Max(group => group.UsedBytes) / 1e6:N1} MB ({OffloadKindNames.NameOf(_plan.Kind)}) and " +
            $"{_memory.Count} slots of {_plan.SlotBytes / 1e6:N1} MB: {staying} stay, {used.Count - staying} come by turns, " +
            $"{_slots.Count(slot => slot.Groups.Count > 1)} in flight");
        if (_reader is not null)
        {
            yield return string.Create(
                CultureInfo.InvariantCulture,
                $"files are read by {_options.Threads} threads through up to " +
                $"{_options.Threads * 2L * _options.ChunkBytes / 1e6:N0} MB of host memory");
        }

        if (_measured is { } measured)
        {
            yield return string.Create(
                CultureInfo.InvariantCulture,
                $"measured: the largest group comes in {measured.Come * 1e3:F1} ms; one row is computed with it in {measured.Compute * 1e3:F2} ms");
        }

        if (_rates is not { } rates)
        {
            yield break;
        }

        var moved = Moving(used).Where(group => group.Home is not null && _share?.Takes(group, 1) != true).Sum(group => group.UsedBytes);
        yield return string.Create(
            CultureInfo.InvariantCulture,
            $"bus {rates.BusBytesPerSecond / 1e9:F1} GB/s; a decode step of one row moves {moved / 1e6:N0} MB over it: " +
            $"{moved / rates.BusBytesPerSecond * 1e3:F1} ms");
        if (_host is not { } products)
        {
            yield break;
        }

        foreach (var (rows, rate) in rates.Host)
        {
            yield return string.Create(
                CultureInfo.InvariantCulture,
                $"host, {products.Threads} threads beside the copies: {rate / 1e9:F1} GB/s at {rows} rows, multiplies with " +
                $"{used.Count(group => _share?.Takes(group, rows) == true)} groups");
        }
    }

    // Groups that have a slot to themselves come once.
    private IEnumerable<WeightGroup> Moving(IEnumerable<WeightGroup> groups) =>
        groups.Where(group => _slots[group.SlotNumber].Groups.Count > 1);

    // Where operations read host memory as fast as any, only what is on disk has to come.
    private IReadOnlyList<OffloadGroup> Streamed(ModelSpec spec, RankPlan rank, bool? hostCompute)
    {
        var readInPlace = _context.Device.IsHostMemory && hostCompute != false;
        return [.. OffloadGroups
            .Of(spec, _plan.Kind, _plan.BlocksPerGroup, [.. _plan.Modules.Where(m => m.Residency != Residency.Device)], rank.Tensors)
            .Where(group => group.Residency == Residency.Disk || !readInPlace)];
    }

    private T Own<T>(T item)
        where T : IDisposable
    {
        _owned.Push(item);
        return item;
    }
}
