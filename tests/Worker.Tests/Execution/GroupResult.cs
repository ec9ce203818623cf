using TensorParallel.Protocol.Generation;
using TensorParallel.Worker.Execution;

namespace TensorParallel.Worker.Tests.Execution;

/// <summary>What all ranks answered.</summary>
/// <param name="ReportingRank">The rank whose tokens count.</param>
/// <param name="Results">By rank and step.</param>
/// <param name="Logits">By rank and step; empty on ranks without a head.</param>
internal sealed record GroupResult(
    int ReportingRank,
    IReadOnlyList<IReadOnlyList<StepResult>> Results,
    IReadOnlyList<IReadOnlyList<StepLogits>> Logits)
{
    /// <summary>Results of the reporting rank.</summary>
    public IReadOnlyList<StepResult> Reported => Results[ReportingRank];

    /// <summary>Logits of one slot at the reporting rank, one row for each step that it was in.</summary>
    public float[][] LogitsOf(int slot) =>
    [
        .. from step in Logits[ReportingRank]
           from row in step.Slots.Zip(step.Rows)
           where row.First == slot
           select row.Second,
    ];

    /// <summary>Tokens drawn for one slot.</summary>
    public int[] TokensOf(int slot) =>
        [.. Reported.SelectMany(r => r.Tokens).Where(t => t.Slot == slot).Select(t => t.TokenId)];
}
