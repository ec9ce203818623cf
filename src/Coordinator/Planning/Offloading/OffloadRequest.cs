using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Planning.Offloading;

/// <summary>What a user asked of offloading; null is the default.</summary>
/// <param name="Kind">In what portions weights come; null: in groups, and only where something does not fit.</param>
/// <param name="BlocksPerGroup">Blocks that come together, with <see cref="OffloadKind.Group"/>; null: 1.</param>
/// <param name="Slots">Groups with room on the device; null: 2, or 1 where 2 do not fit.</param>
internal sealed record OffloadRequest(OffloadKind? Kind = null, int? BlocksPerGroup = null, int? Slots = null)
{
    // A third slot would hold a group that waits for its turn. The same bytes as a group that stays on the device save that group's
    // way in every step.
    private const int DefaultGroupSlots = 2;

    /// <summary>The portions.</summary>
    public OffloadKind KindOrDefault => Kind ?? OffloadKind.Group;

    /// <summary>Blocks of a portion, as <see cref="OffloadPlan.BlocksPerGroup"/>.</summary>
    public int GroupBlocks => KindOrDefault == OffloadKind.Group ? BlocksPerGroup ?? 1 : 1;

    /// <summary>
    /// Slots to try, best first. One portion at a time is what the kinds <c>model</c> and <c>sequential</c> mean.
    /// </summary>
    public IReadOnlyList<int> SlotCounts =>
        KindOrDefault != OffloadKind.Group ? [1] : Slots is { } slots ? [slots] : [DefaultGroupSlots, 1];
}
