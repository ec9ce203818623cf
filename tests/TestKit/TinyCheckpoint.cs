using System.Text.Json;
using System.Text.Json.Nodes;
using TensorParallel.Protocol.Checkpoints;

namespace TensorParallel.TestKit;

/// <summary>
/// Makes random Llama checkpoints: config.json, generation_config.json, shards and index, no tokenizer. Scales are such
/// that activations keep their size through the layers and logits spread with a deviation of about 2, so that a wrong
/// number anywhere shows in the logits. Streaming: 2.5 GB need no more memory than 1 MB.
/// </summary>
public static class TinyCheckpoint
{
    private static readonly JsonSerializerOptions s_indented = new() { WriteIndented = true };

    /// <summary>Writes into <paramref name="folder"/>, which is made if it is not there.</summary>
    /// <returns>The folder, for <c>Checkpoint.Open(TinyCheckpoint.Write(...))</c>.</returns>
    public static string Write(string folder, TinyCheckpointOptions? options = null)
    {
        options ??= new TinyCheckpointOptions();
        Directory.CreateDirectory(folder);
        WriteJson(folder, Checkpoint.ConfigFileName, Config(options));
        WriteJson(folder, GenerationConfig.FileName, new JsonObject
        {
            ["bos_token_id"] = options.BosTokenId,
            ["eos_token_id"] = options.EosTokenId,
        });
        WriteWeights(folder, [.. Tensors(options)], options.Shards);
        return folder;
    }

    private static void WriteWeights(string folder, SafetensorsEntry[] entries, int shards)
    {
        var metadata = new Dictionary<string, string> { ["format"] = "pt" };
        if (shards == 1)
        {
            SafetensorsWriter.Write(Path.Combine(folder, Checkpoint.SingleFileName), entries, metadata);
            return;
        }

        ArgumentOutOfRangeException.ThrowIfGreaterThan(shards, entries.Length);
        var total = entries.Sum(e => e.Bytes);
        var weightMap = new JsonObject();
        var next = 0;
        var written = 0L;
        for (var shard = 1; shard <= shards; shard++)
        {
            var name = $"model-{shard:D5}-of-{shards:D5}.safetensors";
            var begin = next;

            // Up to this shard's share of the bytes, at least one tensor, and one left for each shard to come.
            while (next < entries.Length - (shards - shard) && (next == begin || written < total * shard / shards))
            {
                weightMap[entries[next].Name] = name;
                written += entries[next++].Bytes;
            }

            SafetensorsWriter.Write(Path.Combine(folder, name), entries[begin..next], metadata);
        }

        WriteJson(folder, Checkpoint.IndexFileName, new JsonObject
        {
            ["metadata"] = new JsonObject { ["total_size"] = total },
            ["weight_map"] = weightMap,
        });
    }

    private static IEnumerable<SafetensorsEntry> Tensors(TinyCheckpointOptions o)
    {
        var writer = new NormalTensorWriter(o.DType, o.Seed);
        var headDeviation = 2 / Math.Sqrt(o.Hidden);
        yield return Tensor("model.embed_tokens.weight", 0, o.Tied ? headDeviation : 1, o.Vocab, o.Hidden);
        for (var layer = 0; layer < o.Layers; layer++)
        {
            foreach (var tensor in LayerTensors($"model.layers.{layer}"))
            {
                yield return tensor;
            }
        }

        yield return Norm("model.norm");
        if (!o.Tied)
        {
            yield return Tensor("lm_head.weight", 0, headDeviation, o.Vocab, o.Hidden);
        }

        IEnumerable<SafetensorsEntry> LayerTensors(string layer) =>
        [
            Norm($"{layer}.input_layernorm"),
            .. Linear($"{layer}.self_attn.q_proj", o.Heads * o.HeadDim, o.Hidden, o.AttentionBias),
            .. Linear($"{layer}.self_attn.k_proj", o.KvHeads * o.HeadDim, o.Hidden, o.AttentionBias),
            .. Linear($"{layer}.self_attn.v_proj", o.KvHeads * o.HeadDim, o.Hidden, o.AttentionBias),
            .. Linear($"{layer}.self_attn.o_proj", o.Hidden, o.Heads * o.HeadDim, o.AttentionBias),
            Norm($"{layer}.post_attention_layernorm"),
            .. Linear($"{layer}.mlp.gate_proj", o.Intermediate, o.Hidden, o.MlpBias),
            .. Linear($"{layer}.mlp.up_proj", o.Intermediate, o.Hidden, o.MlpBias),
            .. Linear($"{layer}.mlp.down_proj", o.Hidden, o.Intermediate, o.MlpBias),
        ];

        // 1 / sqrt(inputs) keeps the size of what goes through; norms and biases vary so that a lost one is noticed.
        IEnumerable<SafetensorsEntry> Linear(string name, int outputs, int inputs, bool bias) => bias
            ? [Weight(name, outputs, inputs), Tensor($"{name}.bias", 0, 0.1, outputs)]
            : [Weight(name, outputs, inputs)];

        SafetensorsEntry Weight(string name, int outputs, int inputs) =>
            Tensor($"{name}.weight", 0, 1 / Math.Sqrt(inputs), outputs, inputs);

        SafetensorsEntry Norm(string name) => Tensor($"{name}.weight", 1, 0.1, o.Hidden);

        SafetensorsEntry Tensor(string name, double mean, double deviation, params long[] shape)
        {
            var count = shape.Aggregate(1L, (product, size) => product * size);
            return new SafetensorsEntry(name, o.DType, shape, o.Zeros
                ? stream => stream.Seek(count * o.DType.SizeInBytes(), SeekOrigin.Current)
                : stream => writer.Write(stream, name, count, mean, deviation));
        }
    }

    private static JsonObject Config(TinyCheckpointOptions o)
    {
        var config = new JsonObject
        {
            ["architectures"] = new JsonArray("LlamaForCausalLM"),
            ["model_type"] = "llama",
            ["attention_bias"] = o.AttentionBias,
            ["mlp_bias"] = o.MlpBias,
            ["bos_token_id"] = o.BosTokenId,
            ["eos_token_id"] = o.EosTokenId,
            ["head_dim"] = o.HeadDim,
            ["hidden_act"] = "silu",
            ["hidden_size"] = o.Hidden,
            ["intermediate_size"] = o.Intermediate,
            ["max_position_embeddings"] = o.MaxPositions,
            ["num_attention_heads"] = o.Heads,
            ["num_hidden_layers"] = o.Layers,
            ["num_key_value_heads"] = o.KvHeads,
            ["rms_norm_eps"] = o.RmsNormEps,
            ["tie_word_embeddings"] = o.Tied,
            ["vocab_size"] = o.Vocab,
        };
        var rope = Rope(o);
        if (o.LegacyConfigKeys)
        {
            config["torch_dtype"] = o.DType.HuggingFaceName();
            config["rope_theta"] = o.RopeTheta;
            config["rope_scaling"] = o.Rope == TinyRope.Default ? null : rope;
        }
        else
        {
            config["dtype"] = o.DType.HuggingFaceName();
            rope["rope_theta"] = o.RopeTheta;
            config["rope_parameters"] = rope;
        }

        return config;
    }

    private static JsonObject Rope(TinyCheckpointOptions o) => o.Rope switch
    {
        TinyRope.Llama3 => new JsonObject
        {
            ["rope_type"] = "llama3",
            ["factor"] = 8.0,
            ["low_freq_factor"] = 1.0,
            ["high_freq_factor"] = 4.0,
            ["original_max_position_embeddings"] = o.OriginalMaxPositions,
        },
        TinyRope.Linear => new JsonObject { ["rope_type"] = "linear", ["factor"] = 4.0 },
        _ => new JsonObject { ["rope_type"] = "default" },
    };

    private static void WriteJson(string folder, string name, JsonObject json) =>
        File.WriteAllText(Path.Combine(folder, name), json.ToJsonString(s_indented));
}
