using TensorParallel.TestKit;

namespace TensorParallel.Coordinator.Tests.Text;

/// <summary>Recorded answers of other tokenizers.</summary>
internal static class TextData
{
    public static string Folder { get; } =
        Path.Combine(RepositoryPaths.Root, "tests", "Coordinator.Tests", "Text", "Data");
}
