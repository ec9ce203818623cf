using System.Globalization;
using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Planning;

/// <summary>
/// Whole layers in sequence over all devices: equal contiguous counts, the remainder to the earlier ones; the embedding
/// before the first layer, norm and head after the last. Example: 2 layers on 5 devices: layer 0, layer 1, norm and
/// head, nothing, nothing. Used once.
/// </summary>
internal sealed class DeviceMapPlanner
{
    private readonly PlanRequest _request;
    private readonly ModelSpec _spec;
    private readonly UnitPartition _layers;
    private readonly int _headStage;

    public DeviceMapPlanner(PlanRequest request)
    {
        _request = request;
        _spec = request.Spec;
        _layers = new UnitPartition(_spec.Blocks.Count, 1, Math.Min(request.Devices.Count, _spec.Blocks.Count));
        _headStage = Math.Min(request.Devices.Count - 1, _spec.Blocks.Count);
    }

    /// <summary>Hugging Face's module names, each with its rank.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> Map()
    {
        var map = new List<KeyValuePair<string, string>> { Entry(_spec.Embedding.Name, 0) };
        for (var stage = 0; stage < _layers.Ranks; stage++)
        {
            for (var layer = _layers[stage].Start; layer < _layers[stage].End; layer++)
            {
                map.Add(Entry(_spec.Blocks[layer].Name, stage));
            }
        }

        map.Add(Entry(_spec.FinalNorm.Name, _headStage));
        map.Add(Entry(_spec.OutputHead.Name, _headStage));
        return map;
    }

    /// <summary>The ranks, with their weights' bytes; cache and workspace are counted later.</summary>
    public IReadOnlyList<RankPlan> Ranks() => [.. Enumerable.Range(0, _request.Devices.Count).Select(Rank)];

    /// <summary>What looks odd, and why.</summary>
    public IReadOnlyList<string> Notes()
    {
        var notes = new List<string>();
        if (_spec.TieWordEmbeddings && _headStage > 0)
        {
            notes.Add(
                $"{_spec.OutputHead.Name} is the table of {_spec.Embedding.Name}: rank 0 and rank {_headStage} each " +
                "hold a copy.");
        }

        if (_headStage < _request.Devices.Count - 1)
        {
            notes.Add(
                $"{_spec.Blocks.Count} layers fill {_spec.Blocks.Count} of {_request.Devices.Count} ranks; rank " +
                $"{_headStage} holds norm and head, those after it nothing.");
        }

        return notes;
    }

    private RankPlan Rank(int rank)
    {
        var layers = rank < _layers.Ranks ? _layers[rank] : new IndexRange(_layers.Size, _layers.Size);
        var attention = _spec.Blocks[0].Attention;
        var tensors = Tensors(rank, layers).ToList();
        return new RankPlan(
            rank,
            _request.Devices[rank].Name,
            tensors.Sum(tensor => tensor.Bytes),
            KvBytes: 0,
            WorkspaceBytes: 0,
            layers,
            HasEmbedding: rank == 0,
            HasOutputHead: rank == _headStage,
            new IndexRange(0, layers.Length == 0 ? 0 : attention.NumAttentionHeads),
            new IndexRange(0, layers.Length == 0 ? 0 : attention.NumKeyValueHeads),
            tensors);
    }

    private IEnumerable<TensorSlice> Tensors(int rank, IndexRange layers)
    {
        var embedding = new ExpectedTensor(_spec.Embedding.WeightName, [_spec.VocabularySize, _spec.HiddenSize]);
        var holdsTiedHead = rank == _headStage && _spec.TieWordEmbeddings;
        if (rank == 0 || holdsTiedHead)
        {
            yield return Whole(embedding);
        }

        var blocks = _spec.Blocks.Skip(layers.Start).Take(layers.Length);
        foreach (var tensor in blocks.SelectMany(ModelSpecTensors.Of))
        {
            yield return Whole(tensor);
        }

        if (rank == _headStage)
        {
            yield return Whole(ModelSpecTensors.Of(_spec.FinalNorm));
            foreach (var tensor in holdsTiedHead ? [] : ModelSpecTensors.Of(_spec.OutputHead))
            {
                yield return Whole(tensor);
            }
        }
    }

    private TensorSlice Whole(ExpectedTensor tensor) => new(
        tensor.Name, TpStyleCatalog.Replicate.Name, null, [], tensor.Elements * _request.DType.SizeInBytes());

    private static KeyValuePair<string, string> Entry(string module, int rank) =>
        new(module, rank.ToString(CultureInfo.InvariantCulture));
}
