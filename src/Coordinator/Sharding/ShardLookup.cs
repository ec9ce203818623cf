using System.Globalization;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Shards;

namespace TensorParallel.Coordinator.Sharding;

/// <summary>Finds the shard set of a plan, and whether it still is what the checkpoint holds.</summary>
internal static class ShardLookup
{
    private const int HashThreads = 8;

    /// <summary>Where a model's sets lie: below the folder that an option names, or in the model's own.</summary>
    public static string Root(string? named, string modelFolder) => named is null or ShardChoice.Auto
        ? Path.Combine(modelFolder, ShardFolder.DefaultRootName)
        : Path.Combine(Path.GetFullPath(named), ShardFolder.OfModel(modelFolder));

    /// <summary>
    /// <c>auto</c>: the set beside the checkpoint where there is one, up to date and readable, else the checkpoint. <c>off</c>: the
    /// checkpoint. A folder: the set in it.
    /// </summary>
    /// <exception cref="CheckpointException">The folder has no set of this cut, or one that is out of date or damaged.</exception>
    public static ShardChoice Find(string option, ShardSource source, CancellationToken cancellationToken)
    {
        if (option == ShardChoice.Off)
        {
            return ShardChoice.Checkpoint;
        }

        var folder = Path.Combine(Root(option, source.ModelFolder), ShardFolder.Key(source.Plan));
        var isAuto = option == ShardChoice.Auto;
        if (!File.Exists(Path.Combine(folder, ShardFolder.ManifestName)))
        {
            return isAuto ? ShardChoice.Checkpoint : throw new CheckpointException(
                $"{Path.GetFullPath(option)}: there are no shards of this cut ({Path.GetFileName(folder)}): make them with "
                + $"'coordinator shard --output {option}' and the options of this run, or leave out --shards.");
        }

        try
        {
            var manifest = ShardManifest.Read(folder);
            var notices = new List<string>();
            return Problem(manifest, source, notices, cancellationToken) is { } problem
                ? isAuto ? new ShardChoice(null, [Unused(folder, problem)]) : throw new CheckpointException(OutOfDate(folder, problem))
                : new ShardChoice(folder, [.. notices, Used(manifest)]);
        }
        catch (CheckpointException e) when (isAuto)
        {
            return new ShardChoice(null, [$"The shards in {folder} are not used: {e.Message}"]);
        }
    }

    /// <summary>Whether a folder holds a set of the plan that is up to date.</summary>
    /// <exception cref="CheckpointException">A file of the checkpoint cannot be read.</exception>
    public static bool IsUpToDate(string folder, ShardSource source, CancellationToken cancellationToken)
    {
        if (!File.Exists(Path.Combine(folder, ShardFolder.ManifestName)))
        {
            return false;
        }

        try
        {
            return Problem(ShardManifest.Read(folder), source, [], cancellationToken) is null;
        }
        catch (CheckpointException)
        {
            // A set that cannot be read is one to make anew, which is what the caller is about to do.
            return false;
        }
    }

    private static string Used(ShardManifest manifest) => string.Create(
        CultureInfo.InvariantCulture,
        $"Weights are read from the shards in {manifest.Folder} ({manifest.Ranks.Count} files, {manifest.Bytes / 1e6:F1} MB).");

    private static string Unused(string folder, string problem) =>
        $"The shards in {folder} are not used, the checkpoint is read: {problem}; 'coordinator shard' makes them anew.";

    private static string OutOfDate(string folder, string problem) =>
        $"{folder}: {problem}: make the shards anew with 'coordinator shard', or read the checkpoint with --shards off.";

    // The end of a sentence; null: all is well.
    private static string? Problem(
        ShardManifest manifest, ShardSource source, List<string> notices, CancellationToken cancellationToken)
    {
        if (!manifest.IsCutBy(source.Plan))
        {
            return "they are cut in another way than their folder's name says";
        }

        var missing = manifest.Ranks.Select(rank => rank.File).FirstOrDefault(file => !File.Exists(Path.Combine(manifest.Folder, file)));
        if (missing is not null)
        {
            return $"{missing} is missing";
        }

        var files = source.Files.ToDictionary(file => Path.GetFileName(file));
        var other = manifest.Sources.Select(file => file.Name).Except(files.Keys)
            .Concat(files.Keys.Except(manifest.Sources.Select(file => file.Name)))
            .FirstOrDefault();
        if (other is not null)
        {
            return $"they were cut from other files than the checkpoint has now ({other})";
        }

        var current = manifest.Sources.Select(was => Current(was, files[was.Name], cancellationToken)).ToList();
        if (current.FindIndex(file => file is null) is >= 0 and var changed)
        {
            return $"{manifest.Sources[changed].Name} has changed since they were cut";
        }

        if (!current.SequenceEqual(manifest.Sources))
        {
            Renew(manifest with { Sources = [.. current.OfType<SourceFile>()] }, notices);
        }

        return null;
    }

    // Size and time tell at once. Another time alone (a copy, a touch) proves nothing: then the contents decide.
    private static SourceFile? Current(SourceFile was, string path, CancellationToken cancellationToken)
    {
        var (bytes, modified) = SourceFile.Stamp(path);
        return bytes != was.Bytes ? null
            : modified == was.Modified ? was
            : ContentHash.OfHeader(SafetensorsHeader.Read(path)) == was.Header
                && ContentHash.OfFile(path, Math.Min(HashThreads, Environment.ProcessorCount), cancellationToken) == was.Content
            ? was with { Modified = modified }
            : null;
    }

    /// <summary>Writes a manifest over the one before, so that the next start need not read everything again; where it cannot, nothing changes.</summary>
    internal static void Renew(ShardManifest manifest, List<string> notices)
    {
        var path = Path.Combine(manifest.Folder, ShardFolder.ManifestName);
        var written = $"{path}.{Environment.ProcessId}";
        try
        {
            try
            {
                File.WriteAllBytes(written, manifest.ToJson());
                File.Move(written, path, overwrite: true);
            }
            finally
            {
                File.Delete(written); // there only where it could not be moved
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            notices.Add($"{path}: the checkpoint's new times cannot be noted, so that every start reads all of it to compare: {e.Message}");
        }
    }
}
