using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Parallel;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops;
using TensorParallel.Worker.Quantization;

namespace TensorParallel.Worker.Modules;

/// <summary>
/// Turns what there is (spec) and who holds what (plan) into this rank's modules. Knows no model family and no cut
/// dimension: those are data of the spec and of the styles.
/// </summary>
internal sealed class ModuleBuilder
{
    private readonly ModelSpec _spec;
    private readonly RankContext _context;
    private readonly PlanSlices _slices;
    private readonly WeightAllocator _weights;
    private readonly LinearBuilder _linears;
    private readonly ModuleMemory _memory;
    private readonly ResidualStream _stream;
    private readonly IWeightPlaces? _places;
    private readonly IWeightPlace _resident;

    private ModuleBuilder(
        ModelSpec spec, PlanSlices slices, RankContext context, IWeightFormat format, ModuleMemory memory, IWeightPlaces? places)
    {
        _places = places;
        _resident = new ResidentPlace(context.Device);
        _memory = memory;
        _spec = spec;
        _context = context;
        _stream = new ResidualStream(context);
        _slices = slices;
        _weights = new WeightAllocator(slices.Plan.DType, format, _resident);
        _linears = new LinearBuilder(context, _slices, _weights);
    }

    private RankPlan RankPlan => _slices.Rank;

    /// <summary>
    /// Allocates this rank's weights and wires its modules. The weights are empty until <see
    /// cref="BuiltModel.Targets"/> are loaded. Throws <see cref="PlanException"/> when plan and model do not fit;
    /// nothing stays allocated then. <paramref name="places"/> says where weights lie; null: all on the device.
    /// </summary>
    public static BuiltModel Build(
        ModelSpec spec, PlanSlices slices, RankContext context, IWeightFormat format, ModuleMemory memory,
        IWeightPlaces? places = null)
    {
        var builder = new ModuleBuilder(spec, slices, context, format, memory, places);
        try
        {
            return builder.Build();
        }
        catch
        {
            builder._weights.Free();
            throw;
        }
    }

    private BuiltModel Build()
    {
        var (table, embedding) = Vocabulary();
        var layers = RankPlan.Layers;
        DecoderBlock[] blocks =
            [.. Enumerable.Range(layers.Start, layers.Length).Select(layer => Block(layer, _spec.Blocks[layer]))];
        Norm? finalNorm = RankPlan.HasOutputHead ? FinalNorm() : null;
        var head = RankPlan.HasOutputHead ? Head(table) : null;
        return new BuiltModel(
            new DecoderModel(_context, _stream, embedding, blocks, finalNorm, head, _weights.Owned),
            _weights.Targets,
            _weights.All);
    }

    /// <summary>
    /// The table as a matrix where a tied head needs it, and the lookups. Both are one tensor on the device, unless something is off it:
    /// then the matrix is the head's affair, and rows are looked up in its home, or in one of their own.
    /// </summary>
    private (Tensor? Table, VocabEmbedding? Embedding) Vocabulary()
    {
        var (name, head) = (_spec.Embedding.Name, _spec.OutputHead.Name);
        var isTied = RankPlan.HasOutputHead && _spec.TieWordEmbeddings;
        var lies = RankPlan.HasEmbedding ? ResidencyOf(name) : ResidencyOf(head);
        if (!RankPlan.HasEmbedding && !isTied)
        {
            return (null, null);
        }

        if (lies == Residency.Device)
        {
            var shared = Table(_resident);
            return (isTied ? shared : null, RankPlan.HasEmbedding ? Embedding(InMemory(shared)) : null);
        }

        if (isTied && ResidencyOf(head) == Residency.Device)
        {
            throw new PlanException(
                $"Rank {_context.Rank}: \"{name}\" is off the device but the head that shares its weight is on it: make the plan anew.");
        }

        Tensor? matrix = isTied ? Table(Place(head)) : null;
        if (!RankPlan.HasEmbedding)
        {
            return (matrix, null);
        }

        if (matrix is { } table && _places!.HomeOf(head, table) is { } home)
        {
            return (matrix, Embedding(InMemory(home)));
        }

        var slice = _slices[_spec.Embedding.WeightName];
        return (matrix, Embedding(lies == Residency.Host
            ? InMemory(Table(Place(name)))
            : _places!.RowsFromFiles(slice, _spec.Embedding.VocabularySize, _spec.Embedding.HiddenSize)));
    }

    private Tensor Table(IWeightPlace place)
    {
        _weights.Place = place;
        return _weights.Table(new WeightPart(
            _slices[_spec.Embedding.WeightName], _spec.Embedding.VocabularySize, _spec.Embedding.HiddenSize));
    }

    private TensorTable InMemory(Tensor table) =>
        new(_context.Ops, table, FirstRow(_slices[_spec.Embedding.WeightName]));

    private VocabEmbedding Embedding(IEmbeddingTable table) =>
        new(_context, table, IsCut(_slices[_spec.Embedding.WeightName]));

    private Residency ResidencyOf(string module) => _places?.ResidencyOf(module) ?? Residency.Device;

    private IWeightPlace Place(string module) => _places?.Of(module) ?? _resident;

    private DecoderBlock Block(int layer, BlockSpec block)
    {
        var place = _weights.Place = Place(block.Name);
        var inputNorm = Norm(block.InputNorm);
        var attention = Attention(layer, block);
        var postAttentionNorm = Norm(block.PostAttentionNorm);
        var mlp = new GatedMlp(
            _context,
            _linears.BuildFused(block.Mlp.Gate, block.Mlp.Up),
            _linears.Build(block.Mlp.Down),
            block.Mlp.Activation);
        return new DecoderBlock(place, _stream, inputNorm, attention, postAttentionNorm, mlp);
    }

    private AttentionModule Attention(int layer, BlockSpec block)
    {
        var attention = block.Attention;
        var layout = BlockLayout.Of(block, _slices.OfRank);
        var (query, keyValue) = (layout.QueryHeads, layout.KeyValueHeads);
        var heads = new HeadLayout(
            query.Start, query.Length, keyValue.Start, keyValue.Length, attention.GroupSize, attention.HeadDim);
        var qkv = _linears.BuildFused(attention.Query, attention.Key, attention.Value);
        return qkv.OutputColumns == heads.FusedColumns
            ? new AttentionModule(
                _context,
                new AttentionShape(layer, heads, new AttentionOptions(attention.Scale)),
                qkv,
                _linears.Build(attention.Output),
                _memory.CosSin ?? throw new PlanException("The plan gives layers without a rotary table."),
                _memory.Cache)
            : throw new PlanException(
                $"Layer {layer}: rank {_context.Rank} has {qkv.OutputColumns} columns of q, k and v, but its " +
                $"{query.Length} query and {keyValue.Length} key/value heads of " +
                $"{attention.HeadDim} make {heads.FusedColumns}.");
    }

    private OutputHead Head(Tensor? table)
    {
        var name = _spec.TieWordEmbeddings ? _spec.Embedding.WeightName : _spec.OutputHead.WeightName;
        var slice = _slices[name];
        var isCut = slice.Dim == 0 && _context.Size > 1;
        var place = _weights.Place = Place(_spec.OutputHead.Name);
        var linear = table is { } shared && _spec.TieWordEmbeddings
            ? new ParallelLinear(
                _context, new DenseWeight(shared, ownsBuffer: false), null, null, CollectiveKind.None, [])
            : _linears.Build(_spec.OutputHead, keepsOutputCut: true);
        var size = _spec.VocabularySize;
        return new OutputHead(place, linear, isCut ? _slices.RangesOfRanks(name, size) : [new IndexRange(0, size)]);
    }

    // The final norm belongs to no group: it is on the device always.
    private Norm FinalNorm()
    {
        _weights.Place = _resident;
        return Norm(_spec.FinalNorm);
    }

    private Norm Norm(NormSpec norm) =>
        new(_weights.Vector([new WeightPart(_slices[norm.WeightName], norm.Size, 1)]), norm.Epsilon);

    private bool IsCut(TensorSlice slice) => slice.Dim is not null && _context.Size > 1;

    private static int FirstRow(TensorSlice slice) => slice.Ranges.Count == 0 ? 0 : slice.Ranges[0].Start;
}
