namespace TensorParallel.Protocol.Parallel;

/// <summary>
/// A plan cannot be made or read. Every problem is one sentence for the user that says what to do about it.
/// </summary>
public sealed class PlanException : Exception
{
    /// <param name="problems">At least one sentence.</param>
    public PlanException(params IReadOnlyList<string> problems)
        : base(Text(problems))
    {
        Problems = problems;
    }

    /// <summary>The sentences of <see cref="Exception.Message"/>, one by one.</summary>
    public IReadOnlyList<string> Problems { get; }

    private static string Text(IReadOnlyList<string> problems) => problems.Count == 1
        ? problems[0]
        : string.Join(
            Environment.NewLine,
            problems.Select(problem => $"- {problem}").Prepend($"{problems.Count} problems with the plan:"));
}
