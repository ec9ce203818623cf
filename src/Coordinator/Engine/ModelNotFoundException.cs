namespace TensorParallel.Coordinator.Engine;

/// <summary>A request names a model that is not served.</summary>
/// <param name="name">The name; null: it names none, and none is served.</param>
/// <param name="names">Those that are.</param>
internal sealed class ModelNotFoundException(string? name, IReadOnlyList<string> names) : Exception(Sentence(name, names))
{
    private const int LongestName = 100;

    private static string Sentence(string? name, IReadOnlyList<string> names) => names.Count == 0
        ? "No model is loaded; load one by LoadModel of tensorparallel.v1.Admin."
        : $"There is no model \"{(name?.Length > LongestName ? name[..LongestName] + "…" : name)}\"; there is {string.Join(", ", names)}.";
}
