namespace TensorParallel.Coordinator.Api;

/// <summary>A folder that callers may not name. The message is the same whether or not it exists.</summary>
/// <param name="folder">As it was given.</param>
internal sealed class FolderNotAllowedException(string folder) : Exception(
    $"{folder}: models are loaded only from below the folders that the server was given by --model-root, and from those that its " +
    "command line names.");
