using TensorParallel.Coordinator.Hosting;
using TensorParallel.Coordinator.Planning.Offloading;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Benchmarking;

/// <summary>The bytes that must be read at least for one token of every sequence, and the time that takes at a given rate.</summary>
internal static class StepBytes
{
    /// <summary>
    /// Bytes of each rank: weights, without an embedding that is only looked up in, and keys and values of all sequences half-way
    /// through decoding. Example: batch 2, prompt 512, 128 new: 2 · 576 positions. Each part of the batch that has steps of its own
    /// reads the weights anew.
    /// </summary>
    public static IReadOnlyList<long> OfRanks(PreparedModel model, BenchCell cell, int microBatches = 1)
    {
        var parts = Math.Min(microBatches, cell.Batch);
        var positions = (long)cell.Batch * (cell.PromptTokens + (cell.NewTokens / 2));
        return
        [
            .. model.Plan.Ranks.Select(rank =>
                (parts * Weights(model, rank)) + (positions * KvCacheBytes.OfBlock(model.Spec, rank, 1, model.Plan.DType))),
        ];
    }

    /// <summary>
    /// Seconds to read them: of the slowest rank where all read at once, of all together where one reads after the other. Parts of a
    /// batch go through the stages one behind the other, so that each takes its share of the sum, and the slowest stage has all of
    /// them. Example: stages of 1 and 3 s: 4 s, in two parts 3 s; stages of 2 and 2 s: in two parts 2 s.
    /// </summary>
    /// <param name="mode">How the ranks work together.</param>
    /// <param name="bytes">Bytes of each rank.</param>
    /// <param name="rates">Bytes a second of each rank.</param>
    /// <param name="parts">Parts of the batch.</param>
    public static double LeastSeconds(PlanMode mode, IReadOnlyList<long> bytes, IReadOnlyList<double> rates, int parts = 1)
    {
        var seconds = bytes.Zip(rates, (size, rate) => size / rate).ToList();
        return mode == PlanMode.TensorParallel ? seconds.Max() : Math.Max(seconds.Max(), seconds.Sum() / parts);
    }

    /// <summary>Bytes of weights that come to the devices in a step, all ranks together; 0 where all are on them.</summary>
    public static long OverBus(PreparedModel model) =>
        model.Plan.Ranks.Sum(rank => OffloadPlanner.BusBytes(model.Spec, rank));

    // Weights that stay and, once they are there, those that come. A tied table is read whole where it serves as the head, and only
    // there; an embedding that is off the device is not among the weights that stay.
    private static long Weights(PreparedModel model, RankPlan rank)
    {
        var spec = model.Spec;
        var isRead = spec.TieWordEmbeddings && rank.HasOutputHead;
        var isResident = rank.Offload is null || rank.Offload.ResidencyOf(spec.Embedding.Name) == Residency.Device;
        var table = rank.Tensors.Where(slice => slice.Name == spec.Embedding.WeightName).Sum(slice => slice.Bytes);
        return rank.WeightBytes + OffloadPlanner.BusBytes(spec, rank) - (isRead || !isResident ? 0 : table);
    }
}
