using TensorParallel.Coordinator.Hosting;
using TensorParallel.Protocol.Generation;

namespace TensorParallel.Coordinator.Benchmarking;

/// <summary>What is measured, and the sizes a group must be started with for it.</summary>
/// <param name="PromptTokens">At least one number.</param>
/// <param name="NewTokens">At least one number.</param>
/// <param name="Batches">At least one number.</param>
/// <param name="Runs">Measured runs of each cell.</param>
internal sealed record BenchGrid(
    IReadOnlyList<int> PromptTokens, IReadOnlyList<int> NewTokens, IReadOnlyList<int> Batches, int Runs)
{
    // A chunk of a long prompt is large enough to be computed at full speed, and small enough for any device's activations.
    private const int LeastStepTokens = 2048;
    private const int MostStepTokens = 8192;

    /// <summary>All cells; prompts change slowest, batches fastest.</summary>
    public IReadOnlyList<BenchCell> Cells =>
    [
        .. from prompt in PromptTokens
           from newTokens in NewTokens
           from batch in Batches
           select new BenchCell(prompt, newTokens, batch),
    ];

    /// <summary>The arguments with the sizes that the grid needs, where the user has given none.</summary>
    public ModelArguments Sized(ModelArguments arguments)
    {
        var sequences = arguments.MaxSequences ?? Batches.Max();
        var stepTokens = arguments.MaxStepTokens
            ?? Math.Max(sequences, Math.Clamp(PromptTokens.Max(), LeastStepTokens, MostStepTokens));
        return arguments with
        {
            MaxSequences = sequences,
            MaxStepTokens = stepTokens,
            MaxContext = arguments.MaxContext ?? Cells.Max(cell => Context(cell, stepTokens)),
        };
    }

    /// <summary>
    /// Steps by which the first sequence of a cell's batch gets its first token before the last does; it generates so many tokens more,
    /// so that the whole batch decodes while the last one's tokens are timed. Example: 64 prompts of 512 in steps of 2,048 rows, of
    /// which up to 64 decode: 32,768 / 1,984 = 17 steps, and two for requests that come a step late.
    /// </summary>
    public static int Stagger(BenchCell cell, int stepTokens)
    {
        var prefillRows = Math.Max(1, stepTokens - cell.Batch);
        return cell.Batch == 1 ? 0 : (int)((((long)cell.Batch * cell.PromptTokens) + prefillRows - 1) / prefillRows) + 2;
    }

    /// <summary>Why a plan's sizes do not hold a cell, in one sentence; null when they do.</summary>
    public static string? Problem(BenchCell cell, StepLimits limits)
    {
        var context = Context(cell, limits.MaxStepTokens);
        var blocks = (long)cell.Batch * (((context - 1) / limits.KvBlockTokens) + 1);
        var what = $"batch {cell.Batch} of {cell.PromptTokens} prompt and {cell.NewTokens} new tokens";
        return cell.Batch > limits.MaxSequences
            ? $"{what} does not fit into {limits.MaxSequences} sequences: give a larger --max-sequences or leave it out."
            : context > limits.MaxContextTokens
                ? $"{what} takes contexts of {context} tokens, but they hold {limits.MaxContextTokens}: give a larger --max-context "
                    + "or leave it out."
                : blocks > limits.KvBlocks
                    ? $"{what} takes {blocks} KV blocks of {limits.KvBlockTokens} tokens, but there is memory for {limits.KvBlocks}: "
                        + "give a smaller batch or shorter prompts, or use more devices."
                    : null;
    }

    private static int Context(BenchCell cell, int stepTokens) =>
        checked(cell.PromptTokens + cell.NewTokens + Stagger(cell, stepTokens));
}
