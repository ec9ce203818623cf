namespace TensorParallel.Worker.Native;

/// <summary>A native library that may be absent.</summary>
/// <param name="Import">Name in <c>LibraryImport</c>.</param>
/// <param name="Title">What people call it.</param>
/// <param name="FileNames">File names, newest major version first.</param>
/// <param name="Companion">Start of the name of a file in the same folder that has to be loaded before it, or null.</param>
/// <param name="Remedy">What to install.</param>
internal sealed record NativeLibrarySpec(
    string Import, string Title, IReadOnlyList<string> FileNames, string? Companion, string Remedy);
