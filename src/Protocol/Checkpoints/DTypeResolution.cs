namespace TensorParallel.Protocol.Checkpoints;

/// <summary>
/// Turns <c>--dtype auto|float32|bfloat16|float16</c> into the type to compute in. "auto" follows transformers: what
/// config.json says, else what the index's metadata says, else the first floating-point tensor of the first file, in the order of names.
/// </summary>
public static class DTypeResolution
{
    public const string Auto = "auto";

    // float8, float6 and float4.
    private const int BitsOfStoredTypes = 8;

    private static readonly DType[] s_computable = [DType.F32, DType.BF16, DType.F16];

    /// <summary>The words that <see cref="Resolve(string, Checkpoint)"/> takes.</summary>
    public static IReadOnlyList<string> Choices { get; } = [Auto, .. s_computable.Select(t => t.HuggingFaceName())];

    /// <summary>The type for a folder.</summary>
    /// <returns><see cref="DType.F32"/>, <see cref="DType.BF16"/> or <see cref="DType.F16"/>.</returns>
    /// <exception cref="CheckpointException">
    /// <paramref name="requested"/> is none of <see cref="Choices"/>, or "auto" leads to a type nothing computes in.
    /// </exception>
    public static DType Resolve(string requested, Checkpoint checkpoint) =>
        Resolve(requested, checkpoint.Config, checkpoint);

    /// <inheritdoc cref="Resolve(string, Checkpoint)"/>
    /// <summary>The type for a bare config.json: float32 where it says nothing, as in transformers.</summary>
    public static DType Resolve(string requested, ModelConfig config) => Resolve(requested, config, null);

    private static DType Resolve(string requested, ModelConfig config, Checkpoint? checkpoint)
    {
        if (requested != Auto)
        {
            return Choices.Contains(requested)
                ? DTypes.ParseHuggingFace(requested)
                : throw new CheckpointException(
                    $"The dtype {Quote.Of(requested)} is not one of {string.Join(", ", Choices)}.");
        }

        if (config.DTypeName is { } named)
        {
            return Computable(named, $"{config.Path}: \"dtype\" is");
        }

        if (checkpoint?.IndexDTypeName is { } indexed)
        {
            return Computable(indexed, $"{Path.Combine(checkpoint.Folder, Checkpoint.IndexFileName)}: \"dtype\" is");
        }

        return checkpoint is null || FirstOf(checkpoint) is not { } first
            ? DType.F32
            : Computable(first.DType.HuggingFaceName(), $"{first.File}: tensor {Quote.Of(first.Name)} is of dtype");
    }

    // Of the first file alone, and by name, as safetensors lists a file's tensors: a scale in float32 may stand before a norm in
    // bfloat16. Types that are only stored, never computed in, are passed over while there is another. What the file holds beyond the
    // index counts too.
    private static TensorInfo? FirstOf(Checkpoint checkpoint)
    {
        if (checkpoint.Tensors.Values.Select(tensor => tensor.File).Min(StringComparer.Ordinal) is not { } file)
        {
            return null;
        }

        var tensors = SafetensorsHeader.Read(file).Tensors.Values.OrderBy(tensor => tensor.Name, StringComparer.Ordinal).ToList();
        return tensors.Find(tensor => tensor.DType.IsFloatingPoint() && tensor.DType.SizeInBits() > BitsOfStoredTypes)
            ?? tensors.Find(tensor => tensor.DType.IsFloatingPoint());
    }

    private static DType Computable(string name, string where) =>
        DTypes.TryParseHuggingFace(name, out var type) && s_computable.Contains(type)
            ? type
            : throw new CheckpointException(
                $"{where} {Quote.Of(name)}, which nothing here computes in: choose --dtype float32, bfloat16 or " +
                "float16.");
}
