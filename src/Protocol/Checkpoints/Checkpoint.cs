using System.Collections.Frozen;

namespace TensorParallel.Protocol.Checkpoints;

/// <summary>
/// A model folder as Hugging Face lays it out, opened without reading a weight: configuration, and where each tensor
/// lies. All shard headers have been validated. Immutable, thread-safe, holds no file open.
/// </summary>
public sealed class Checkpoint
{
    public const string ConfigFileName = "config.json";
    public const string SingleFileName = "model.safetensors";
    public const string IndexFileName = "model.safetensors.index.json";

    private readonly string? _weightsPath;

    private Checkpoint(
        string folder,
        string? weightsPath,
        IReadOnlyDictionary<string, TensorInfo> tensors,
        string? indexDTypeName)
    {
        Folder = folder;
        _weightsPath = weightsPath;
        Tensors = tensors;
        IndexDTypeName = indexDTypeName;
        TotalBytes = tensors.Values.Sum(t => t.Bytes);
        Config = ModelConfig.Load(Path.Combine(folder, ConfigFileName));
        GenerationConfig = GenerationConfig.Load(folder, Config);
    }

    /// <summary>Full path.</summary>
    public string Folder { get; }

    public ModelConfig Config { get; }

    public GenerationConfig GenerationConfig { get; }

    /// <summary>Every tensor of the checkpoint by name; empty when the folder has no weights.</summary>
    public IReadOnlyDictionary<string, TensorInfo> Tensors { get; }

    /// <summary>Bytes of all <see cref="Tensors"/>, headers not counted.</summary>
    public long TotalBytes { get; }

    /// <summary>Whether the folder has safetensors files; without them it can be planned for, but not run.</summary>
    public bool HasWeights => _weightsPath is not null;

    /// <summary>The dtype that the index's own metadata states, where it does.</summary>
    internal string? IndexDTypeName { get; }

    /// <summary>
    /// Opens a folder. <c>model.safetensors</c> goes before an index when both are there, as in transformers.
    /// </summary>
    /// <exception cref="CheckpointException">
    /// No such folder, no config.json, or anything wrong with a configuration, the index or a shard's header.
    /// </exception>
    public static Checkpoint Open(string folder)
    {
        var fullPath = Path.GetFullPath(folder);
        if (!Directory.Exists(fullPath))
        {
            throw new CheckpointException($"{fullPath}: no such model folder.");
        }

        if (!File.Exists(Path.Combine(fullPath, ConfigFileName)))
        {
            throw new CheckpointException($"{fullPath}: not a model folder: it has no {ConfigFileName}.");
        }

        var single = Path.Combine(fullPath, SingleFileName);
        if (File.Exists(single))
        {
            return new Checkpoint(fullPath, single, SafetensorsHeader.Read(single).Tensors, null);
        }

        var indexPath = Path.Combine(fullPath, IndexFileName);
        if (File.Exists(indexPath))
        {
            var index = SafetensorsIndex.Read(indexPath);
            return new Checkpoint(fullPath, indexPath, index.ReadShards(), index.DTypeName);
        }

        return new Checkpoint(fullPath, null, FrozenDictionary<string, TensorInfo>.Empty, null);
    }

    /// <summary>The tensor named <paramref name="name"/>; its shape must be exactly <paramref name="shape"/>.</summary>
    /// <exception cref="CheckpointException">No weights, no such tensor, or another shape.</exception>
    public TensorInfo Require(string name, params ReadOnlySpan<long> shape)
    {
        if (!Tensors.TryGetValue(name, out var tensor))
        {
            throw new CheckpointException(_weightsPath is null
                ? $"{Folder}: tensor {Quote.Of(name)} is missing: the folder has neither {SingleFileName} nor " +
                  $"{IndexFileName}."
                : $"{_weightsPath}: tensor {Quote.Of(name)} of shape {Quote.Shape([.. shape])} is missing.");
        }

        return shape.SequenceEqual([.. tensor.Shape])
            ? tensor
            : throw new CheckpointException(
                $"{tensor.File}: tensor {Quote.Of(name)} has shape {Quote.Shape(tensor.Shape)} but " +
                $"{ConfigFileName} asks for {Quote.Shape([.. shape])}.");
    }
}
