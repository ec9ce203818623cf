namespace TensorParallel.Protocol.Checkpoints;

/// <summary>
/// What a model's makers suggest for generating: <c>generation_config.json</c>, with the token ids of config.json where
/// it is silent (a missing file is silent about everything). Null means: no suggestion. The values are as written;
/// whether a temperature makes sense is judged where sampling parameters are. Immutable.
/// </summary>
public sealed record GenerationConfig
{
    /// <summary>The file's name in a model folder.</summary>
    public const string FileName = "generation_config.json";

    /// <summary>Ids that end a sequence; empty when neither file names one.</summary>
    public IReadOnlyList<int> EosTokenIds { get; init; } = [];

    public int? BosTokenId { get; init; }

    public int? PadTokenId { get; init; }

    public bool? DoSample { get; init; }

    public double? Temperature { get; init; }

    public int? TopK { get; init; }

    public double? TopP { get; init; }

    public double? MinP { get; init; }

    public double? RepetitionPenalty { get; init; }

    public int? MaxNewTokens { get; init; }

    public int? MinNewTokens { get; init; }

    /// <summary>Prompt and generated tokens together.</summary>
    public int? MaxLength { get; init; }

    /// <summary>Reads the file in <paramref name="folder"/> if there is one.</summary>
    /// <param name="folder">A model folder.</param>
    /// <param name="config">Its config.json, for the token ids.</param>
    /// <exception cref="CheckpointException">The file is there but broken, or a value is of the wrong kind.</exception>
    public static GenerationConfig Load(string folder, ModelConfig config)
    {
        var fallback = new GenerationConfig
        {
            EosTokenIds = config.EosTokenIds,
            BosTokenId = config.BosTokenId,
            PadTokenId = config.PadTokenId,
        };
        var path = Path.Combine(folder, FileName);
        if (!File.Exists(path))
        {
            return fallback;
        }

        var values = ModelConfig.Load(path);
        return new GenerationConfig
        {
            // A null here falls back too: a model that never stops is nobody's intention.
            EosTokenIds = values.Has("eos_token_id") ? values.EosTokenIds : fallback.EosTokenIds,
            BosTokenId = values.BosTokenId ?? fallback.BosTokenId,
            PadTokenId = values.PadTokenId ?? fallback.PadTokenId,
            DoSample = values.BoolOrNull("do_sample"),
            Temperature = values.DoubleOrNull("temperature"),
            TopK = values.IntOrNull("top_k"),
            TopP = values.DoubleOrNull("top_p"),
            MinP = values.DoubleOrNull("min_p"),
            RepetitionPenalty = values.DoubleOrNull("repetition_penalty"),
            MaxNewTokens = values.IntOrNull("max_new_tokens"),
            MinNewTokens = values.IntOrNull("min_new_tokens"),
            MaxLength = values.IntOrNull("max_length"),
        };
    }
}
