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
            throw new PlanException(
                $"Rank {rank.Rank}: random weights are in no file, but \"{_plan.Modules.First(m => m.Residency == Residency.Disk).Name}\" is " +
                "to be read from one for each use: leave them in host memory (a larger cpu=… in --max-memory).");
        }

        try
        {
            var streamed = Streamed(spec, rank, options.HostCompute);
            var count = streamed.Count > 0 ? _plan.Slots : 0;
            for (var i = 0; i < count; i++)
            {
                _memory.Add(Own(context.Device.Allocate(Math.Max(1, _plan.SlotBytes), MemoryPurpose.Staging)));
            }

            for (var i = 0; i < streamed.Count; i++)
            {
                _groups.Add(Own(new WeightGroup(streamed[i], i % count, _memory[i % count], context.Device)));
            }

            _host = streamed.Any(group => group.Residency == Residency.Host) && MayComputeOnHost(options, spec, mode, rank)
                ? Own(new HostProducts(context.Device, options.ComputeThreads))
                : null;

            // What uses memory goes before the memory, and the threads that read before all.
            _queue = Own(context.Device.OpenCopyQueue());
            _reader = tensors is not null && _groups.Any(group => group.Home is null)
                ? new GroupReader(tensors, context.Device, rank.Rank, options.Threads, options.ChunkBytes)
                : null;
            _stream = Own(new WeightStream(_queue, _slots, _reader));
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

    /// <summary>What was measured at the start; null: nothing had to be.</summary>
    public TransferRates? Rates { get; private set; }

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
        _stream.Begin(_host is null ? null : Share(_host, [.. used.Where(group => group.Home is not null)]));
    }

    public void Dispose()
    {
        while (_owned.TryPop(out var item))
        {
            item.Dispose();
        }
    }

    /// <summary>
    /// Whether the host may make some of the products. Ranks choose for themselves, and a product on the host may be rounded otherwise than
    /// on the device: what every rank computes for itself and must be the same on all, whole matrices under tensor parallelism, is left to
    /// the device.
    /// </summary>
    private bool MayComputeOnHost(OffloadOptions options, ModelSpec spec, PlanMode mode, RankPlan rank)
    {
        var isWanted = options.HostShare > 0 || (options.HostShare is null && options.HostCompute != false && !_context.Device.IsHostMemory);
        var matrices = spec.Blocks.SelectMany(block => block.Linears).Append(spec.OutputHead).Select(linear => linear.WeightName).ToHashSet();
        return isWanted && (_context.Size == 1 || mode == PlanMode.DeviceMap
            || rank.Tensors.Where(tensor => matrices.Contains(tensor.Name)).All(tensor => tensor.Dim is not null));
    }

    private HostShare Share(HostProducts host, IReadOnlyList<WeightGroup> groups)
    {
        if ((_options.HostShare ?? (_options.HostCompute == true ? 1 : null)) is { } given)
        {
            return new HostShare(groups, [(HostProducts.MostRows, given)]);
        }

        Rates = TransferRates.Measure(host, _queue, _memory, groups);
        return new HostShare(groups, [.. Rates.Host.Select(rate => (rate.Rows, HostShare.Of(rate.BytesPerSecond, Rates.BusBytesPerSecond)))]);
    }

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
