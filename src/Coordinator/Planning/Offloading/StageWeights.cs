using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Planning.Offloading;

/// <summary>A rank's weights by module: what can leave its device, and what never does.</summary>
/// <param name="FixedBytes">Stays: the final norm, which is a vector.</param>
/// <param name="Embedding">Null: not on this rank.</param>
/// <param name="Blocks">In order; may be empty.</param>
/// <param name="Head">Null: not on this rank.</param>
/// <param name="SharesTable">
/// The head is the embedding's table, held once: both leave the device or none; the head's Bytes are then 0.
/// </param>
internal sealed record StageWeights(
    long FixedBytes, StageModule? Embedding, IReadOnlyList<StageModule> Blocks, StageModule? Head, bool SharesTable)
{
    /// <summary>All of it.</summary>
    public long TotalBytes { get; } = FixedBytes + (Embedding?.Bytes ?? 0) + BytesOf(Blocks) + (Head?.Bytes ?? 0);

    /// <summary>The largest module that must come to the device to be computed; null: there is none.</summary>
    public StageModule? LargestMoved =>
        Blocks.Concat(Head is { } head ? [head] : []).Cast<StageModule?>().MaxBy(module => module!.Value.SlotBytes);

    /// <summary>Measures a rank whose tensors are known.</summary>
    public static StageWeights Of(ModelSpec spec, RankPlan rank)
    {
        var bytes = rank.Tensors.ToDictionary(tensor => tensor.Name, tensor => tensor.Bytes);
        var sharesTable = spec.TieWordEmbeddings && rank.HasEmbedding && rank.HasOutputHead;
        var blocks = spec.Blocks.Skip(rank.Layers.Start).Take(rank.Layers.Length)
            .Select(block => Module(block.Name, ModelSpecTensors.Of(block).Select(tensor => tensor.Name)))
            .ToList();
        StageModule? embedding = rank.HasEmbedding ? Module(spec.Embedding.Name, [spec.Embedding.WeightName]) : null;
        StageModule? head = !rank.HasOutputHead
            ? null
            : spec.TieWordEmbeddings
            ? Module(spec.OutputHead.Name, [spec.Embedding.WeightName])
            : Module(spec.OutputHead.Name, ModelSpecTensors.Of(spec.OutputHead).Select(tensor => tensor.Name));
        if (sharesTable)
        {
            head = head!.Value with { Bytes = 0 };
        }

        var movable = (embedding?.Bytes ?? 0) + blocks.Sum(block => block.Bytes) + (head?.Bytes ?? 0);
        return new StageWeights(rank.Tensors.Sum(tensor => tensor.Bytes) - movable, embedding, blocks, head, sharesTable);

        StageModule Module(string name, IEnumerable<string> tensors)
        {
            var (sum, slot) = (0L, 0L);
            foreach (var tensor in tensors)
            {
                sum += bytes[tensor];
                slot += OffloadGroups.Align(bytes[tensor]);
            }

            return new StageModule(name, sum, slot);
        }
    }

    private static long BytesOf(IReadOnlyList<StageModule> blocks)
    {
        var sum = 0L;
        for (var i = 0; i < blocks.Count; i++)
        {
            sum += blocks[i].Bytes;
        }

        return sum;
    }
}
