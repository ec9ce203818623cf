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

    private ModuleBuilder(
        ModelSpec spec, PlanSlices slices, RankContext context, IWeightFormat format, ModuleMemory memory)
    {
        _memory = memory;
        _spec = spec;
        _context = context;
        _stream = new ResidualStream(context);
        _slices = slices;
        _weights = new WeightAllocator(context.Device, slices.Plan.DType, format);
        _linears = new LinearBuilder(context, _slices, _weights);
    }

    private RankPlan RankPlan => _slices.Rank;

    /// <summary>
    /// Allocates this rank's weights and wires its modules. The weights are empty until <see
    /// cref="BuiltModel.Targets"/> are loaded. Throws <see cref="PlanException"/> when plan and model do not fit;
    /// nothing stays allocated then.
    /// </summary>
    public static BuiltModel Build(
        ModelSpec spec, PlanSlices slices, RankContext context, IWeightFormat format, ModuleMemory memory)
    {
        var builder = new ModuleBuilder(spec, slices, context, format, memory);
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
        Tensor? table = RankPlan.HasEmbedding || (RankPlan.HasOutputHead && _spec.TieWordEmbeddings) ? Table() : null;
        var layers = RankPlan.Layers;
        var embedding = RankPlan.HasEmbedding ? Embedding(table!.Value) : null;
        DecoderBlock[] blocks =
            [.. Enumerable.Range(layers.Start, layers.Length).Select(layer => Block(layer, _spec.Blocks[layer]))];
        Norm? finalNorm = RankPlan.HasOutputHead ? Norm(_spec.FinalNorm) : null;
        var head = RankPlan.HasOutputHead ? Head(table) : null;
        return new BuiltModel(
            new DecoderModel(_context, _stream, embedding, blocks, finalNorm, head, _weights.Owned), _weights.Targets);
    }

    private Tensor Table() => _weights.Table(new WeightPart(
        _slices[_spec.Embedding.WeightName], _spec.Embedding.VocabularySize, _spec.Embedding.HiddenSize));

    private VocabEmbedding Embedding(Tensor table)
    {
        var slice = _slices[_spec.Embedding.WeightName];
        return new VocabEmbedding(_context, table, FirstRow(slice), IsCut(slice));
    }

    private DecoderBlock Block(int layer, BlockSpec block)
    {
        var inputNorm = Norm(block.InputNorm);
        var attention = Attention(layer, block);
        var postAttentionNorm = Norm(block.PostAttentionNorm);
        var mlp = new GatedMlp(
            _context,
            _linears.BuildFused(block.Mlp.Gate, block.Mlp.Up),
            _linears.Build(block.Mlp.Down),
            block.Mlp.Activation);
        return new DecoderBlock(_stream, inputNorm, attention, postAttentionNorm, mlp);
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
        var linear = table is { } shared && _spec.TieWordEmbeddings
            ? new ParallelLinear(
                _context, new DenseWeight(shared, ownsBuffer: false), null, null, CollectiveKind.None, [])
            : _linears.Build(_spec.OutputHead, keepsOutputCut: true);
        var size = _spec.VocabularySize;
        return new OutputHead(linear, isCut ? _slices.RangesOfRanks(name, size) : [new IndexRange(0, size)]);
    }

    private Norm Norm(NormSpec norm) =>
        new(_weights.Vector([new WeightPart(_slices[norm.WeightName], norm.Size, 1)]), norm.Epsilon);

    private bool IsCut(TensorSlice slice) => slice.Dim is not null && _context.Size > 1;

    private static int FirstRow(TensorSlice slice) => slice.Ranges.Count == 0 ? 0 : slice.Ranges[0].Start;
}
