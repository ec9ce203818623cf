using System.Text;
using System.Text.Json;

namespace TensorParallel.Protocol.Checkpoints;

/// <summary>
/// A model's <c>config.json</c>, or a nested section of it, read by key. Architecture files say which keys they need;
/// every failure names the file and the whole key. A JSON null counts as absent, as it does in transformers.
/// Immutable, thread-safe.
/// </summary>
/// <remarks>The typed readers are in <c>ModelConfig.Values.cs</c>; here is what every family shares.</remarks>
public sealed partial class ModelConfig
{
    private readonly JsonElement _object;
    private readonly string _prefix;

    private ModelConfig(string path, JsonElement jsonObject, string prefix)
    {
        Path = path;
        _object = jsonObject;
        _prefix = prefix;
    }

    /// <summary>Full path of the file, for messages of those who judge the values.</summary>
    public string Path { get; }

    /// <summary><c>model_type</c>, such as "llama".</summary>
    /// <exception cref="CheckpointException">Absent.</exception>
    public string ModelType => String("model_type");

    /// <summary><c>architectures</c>, such as ["LlamaForCausalLM"]; empty when absent.</summary>
    public IReadOnlyList<string> Architectures => Strings("architectures");

    /// <summary><c>dtype</c>, or <c>torch_dtype</c> as it was called before transformers 5; null when absent.</summary>
    public string? DTypeName => StringOrNull("dtype") ?? StringOrNull("torch_dtype");

    /// <summary><c>eos_token_id</c>: one id or a list; empty when absent.</summary>
    public IReadOnlyList<int> EosTokenIds => TokenIds("eos_token_id");

    /// <summary><c>bos_token_id</c>; null when absent.</summary>
    public int? BosTokenId => TokenId("bos_token_id");

    /// <summary><c>pad_token_id</c>; null when absent.</summary>
    public int? PadTokenId => TokenId("pad_token_id");

    /// <summary>
    /// <c>quantization_config.quant_method</c>, such as "gptq"; null for weights as they are. Old bitsandbytes
    /// configurations carry only their load flags, which is what "bitsandbytes" is concluded from.
    /// </summary>
    /// <exception cref="CheckpointException">There is such a section, but it names no method.</exception>
    public string? QuantMethod
    {
        get
        {
            var section = SectionOrNull("quantization_config");
            if (section is null)
            {
                return null;
            }

            var isBitsAndBytes = section.BoolOr("load_in_8bit", false) || section.BoolOr("load_in_4bit", false);
            return section.StringOrNull("quant_method")
                ?? (isBitsAndBytes ? "bitsandbytes" : section.String("quant_method"));
        }
    }

    /// <summary>Reads a <c>config.json</c>. The folder need not hold weights.</summary>
    /// <exception cref="CheckpointException">Not there, or not one strict JSON object.</exception>
    public static ModelConfig Load(string path)
    {
        var fullPath = System.IO.Path.GetFullPath(path);
        return new ModelConfig(fullPath, JsonFile.ReadObject(fullPath), "");
    }

    /// <summary>Parses text that lies in memory.</summary>
    /// <param name="json">One JSON object.</param>
    /// <param name="path">What messages call the source.</param>
    /// <exception cref="CheckpointException">Not one strict JSON object.</exception>
    public static ModelConfig Parse(string json, string path = "config.json") =>
        new(path, JsonFile.ParseObject(Encoding.UTF8.GetBytes(json), path), "");

    /// <summary>A nested object such as <c>rope_parameters</c>; its messages say "rope_parameters.factor".</summary>
    /// <exception cref="CheckpointException">Absent, or not an object.</exception>
    public ModelConfig Section(string key) => SectionOrNull(key) ?? throw Missing(key);

    /// <inheritdoc cref="Section"/>
    /// <returns>Null when absent.</returns>
    public ModelConfig? SectionOrNull(string key)
    {
        if (Find(key) is not { } value)
        {
            return null;
        }

        return value.ValueKind == JsonValueKind.Object
            ? new ModelConfig(Path, value, $"{_prefix}{key}.")
            : throw Wrong(key, value, "an object");
    }

    // -1 is how old LLaMA conversions write "no such token".
    private int? TokenId(string key) => IntOrNull(key) is { } id and >= 0 ? id : null;

    private IReadOnlyList<int> TokenIds(string key)
    {
        if (Find(key) is not { } value)
        {
            return [];
        }

        if (value.ValueKind != JsonValueKind.Array)
        {
            return TokenId(key) is { } id ? [id] : [];
        }

        return [.. value.EnumerateArray().Select(item =>
            item.ValueKind == JsonValueKind.Number && item.TryGetInt32(out var id) && id >= 0
                ? id
                : throw Wrong(key, item, "a token id"))];
    }
}
