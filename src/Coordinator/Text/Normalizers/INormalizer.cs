namespace TensorParallel.Coordinator.Text.Normalizers;

/// <summary>Rewrites text before it is cut into words. Immutable, thread-safe.</summary>
internal interface INormalizer
{
    /// <param name="text">Well-formed UTF-16, possibly empty.</param>
    /// <returns>Well-formed UTF-16.</returns>
    string Normalize(string text);
}
