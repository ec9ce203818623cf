using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Generation;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Protocol.Tests.Parallel;

/// <summary>Plans written by hand: two ranks, one tensor of each kind.</summary>
internal static class SamplePlan
{
    public static ExecutionPlan TensorParallel { get; } = new(
        PlanMode.TensorParallel,
        2,
        FallbackReasons: [],
        DeviceMap: null,
        DType.BF16,
        new StepLimits(512, 16, 2048, 16, 2048),
        [Rank(0, new(0, 64), new(0, 128)), Rank(1, new(64, 128), new(128, 256))],
        ["Umlauts – and \"quotes\" survive."]);

    public static ExecutionPlan DeviceMap { get; } = TensorParallel with
    {
        Mode = PlanMode.DeviceMap,
        FallbackReasons = ["A reason."],
        DeviceMap = [new("model.embed_tokens", "0"), new("lm_head", "1")],
        DeviceMapBudget = [new("0", 70_000_000_000), new("1", null)],
        DType = DType.F32,
    };

    public static ExecutionPlan Offloaded { get; } = DeviceMap with
    {
        DeviceMap = [new("model.embed_tokens", "0"), new("model.layers", "disk"), new("lm_head", "cpu")],
        Ranks =
        [
            DeviceMap.Ranks[0],
            DeviceMap.Ranks[1] with
            {
                BudgetBytes = 8L << 30,
                Offload = new OffloadPlan(OffloadKind.Group, 2, 3, 1L << 29, [
                    new("model.layers.0", Residency.Disk, 1000), new("lm_head", Residency.Host, 2000)]),
            },
        ],
    };

    private static RankPlan Rank(int rank, IndexRange columns, IndexRange rows) => new(
        rank,
        $"cuda:{rank}",
        WeightBytes: 70_000_000_000 + rank,
        KvBytes: 1L << 33,
        WorkspaceBytes: 12345,
        Layers: new(0, 32),
        HasEmbedding: true,
        HasOutputHead: rank == 1,
        QueryHeads: new(4 * rank, 4 * (rank + 1)),
        KeyValueHeads: new(rank, rank + 1),
        [
            new("model.norm.weight", "replicate", null, [], 128),
            new("model.layers.0.self_attn.o_proj.weight", "rowwise", 1, [columns], 8192),
            new(
                "model.layers.0.mlp.gate_up_proj.weight",
                "packed_colwise",
                0,
                [rows, new(256 + rows.Start, 256 + rows.End)],
                16384),
        ]);
}
