using System.Collections.Frozen;
using System.Text.Json;

namespace TensorParallel.Protocol.Checkpoints;

/// <summary>
/// <c>model.safetensors.index.json</c>: which shard holds which tensor. Only <c>weight_map</c> counts: what a shard
/// holds beyond it is not part of the checkpoint. Immutable.
/// </summary>
public sealed class SafetensorsIndex
{
    private SafetensorsIndex(string path, IReadOnlyDictionary<string, string> weightMap, string? dtypeName)
    {
        Path = path;
        WeightMap = weightMap;
        DTypeName = dtypeName;
        ShardNames = [.. weightMap.Values.Distinct().Order(StringComparer.Ordinal)];
    }

    /// <summary>Full path of the index.</summary>
    public string Path { get; }

    /// <summary>Tensor name to the plain file name of its shard.</summary>
    public IReadOnlyDictionary<string, string> WeightMap { get; }

    /// <summary>The shards that <see cref="WeightMap"/> names, in ordinal order, each once.</summary>
    public IReadOnlyList<string> ShardNames { get; }

    /// <summary><c>metadata.dtype</c>, where the index has one.</summary>
    public string? DTypeName { get; }

    /// <summary>Reads the index alone; no shard is opened.</summary>
    /// <exception cref="CheckpointException">
    /// Not strict JSON, no weight_map, or a shard name that is not a plain file name.
    /// </exception>
    public static SafetensorsIndex Read(string path)
    {
        var fullPath = System.IO.Path.GetFullPath(path);
        var root = JsonFile.ReadObject(fullPath);
        if (!root.TryGetProperty("weight_map", out var map) || map.ValueKind != JsonValueKind.Object)
        {
            throw new CheckpointException($"{fullPath}: \"weight_map\" is missing or not an object.");
        }

        var weightMap = map.EnumerateObject()
            .ToFrozenDictionary(p => p.Name, p => ShardName(p.Name, p.Value, fullPath));
        return weightMap.Count > 0
            ? new SafetensorsIndex(fullPath, weightMap, MetadataDType(root))
            : throw new CheckpointException($"{fullPath}: \"weight_map\" names no tensor.");
    }

    /// <summary>
    /// Opens every shard in the index's folder and returns the tensors that the index names. A shard that is a symbolic
    /// link is followed, as the Hugging Face cache needs (its snapshots are links): links are made by whoever owns the
    /// folder, not by the checkpoint's content, which only gets to say plain file names.
    /// </summary>
    /// <exception cref="CheckpointException">A shard is missing or broken, or lacks a tensor mapped to it.</exception>
    public IReadOnlyDictionary<string, TensorInfo> ReadShards()
    {
        var folder = System.IO.Path.GetDirectoryName(Path)!;
        var shards = new Dictionary<string, SafetensorsHeader>();
        foreach (var name in ShardNames)
        {
            var file = System.IO.Path.Combine(folder, name);
            shards[name] = File.Exists(file)
                ? SafetensorsHeader.Read(file)
                : throw new CheckpointException(
                    $"{file}: this shard is missing, but {Path} maps {TensorsIn(name)} to it; fetch it.");
        }

        return WeightMap.ToFrozenDictionary(entry => entry.Key, entry => shards[entry.Value].Tensors.TryGetValue(
            entry.Key, out var tensor)
                ? tensor
                : throw new CheckpointException(
                    $"{shards[entry.Value].Path}: tensor {Quote.Of(entry.Key)} is not in this shard, where " +
                    $"{System.IO.Path.GetFileName(Path)} says it is."));
    }

    private string TensorsIn(string shard)
    {
        var names = WeightMap.Where(e => e.Value == shard).Select(e => e.Key).Order(StringComparer.Ordinal).ToList();
        var first = $"tensor {Quote.Of(names[0])}";
        return names.Count == 1 ? first : $"{first} and {names.Count - 1} more";
    }

    private static string ShardName(string tensor, JsonElement value, string path)
    {
        var name = value.ValueKind == JsonValueKind.String ? value.GetString()! : null;
        return name is not null && IsPlainFileName(name)
            ? name
            : throw new CheckpointException(
                $"{path}: tensor {Quote.Of(tensor)}: {Quote.Of(name ?? value.GetRawText())} is not a plain file name " +
                "inside the model folder.");
    }

    private static bool IsPlainFileName(string name) =>
        name is not ("" or "." or "..") && !name.Any(c => c is '/' or '\\' or ':' || char.IsControl(c));

    private static string? MetadataDType(JsonElement root) =>
        root.TryGetProperty("metadata", out var metadata)
        && metadata.ValueKind == JsonValueKind.Object
        && metadata.TryGetProperty("dtype", out var dtype)
        && dtype.ValueKind == JsonValueKind.String
            ? dtype.GetString()
            : null;
}
