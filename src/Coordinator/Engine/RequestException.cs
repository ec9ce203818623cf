namespace TensorParallel.Coordinator.Engine;

/// <summary>
/// A request that cannot be run as it is: the caller's mistake, with everything that is wrong with it at once.
/// </summary>
/// <param name="problems">One sentence a problem, at least one.</param>
internal sealed class RequestException(IReadOnlyList<string> problems) : Exception(string.Join(' ', problems))
{
    /// <summary>One sentence a problem.</summary>
    public IReadOnlyList<string> Problems { get; } = problems;
}
