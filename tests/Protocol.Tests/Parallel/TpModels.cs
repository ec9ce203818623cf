using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Protocol.Tests.Parallel;

/// <summary>Small models for the plan tests.</summary>
internal static class TpModels
{
    /// <summary>8 query heads over 2 KV heads of 16, MLP 176, vocabulary 256.</summary>
    public static ModelSpec Llama(int layers = 2, bool tied = false, bool bias = false) =>
        ArchitectureCatalog.Describe(ModelConfig.Parse($$"""
        {
          "model_type": "llama", "num_hidden_layers": {{layers}}, "hidden_size": 64,
          "num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": 16,
          "intermediate_size": 176, "vocab_size": 256, "max_position_embeddings": 2048,
          "tie_word_embeddings": {{(tied ? "true" : "false")}}, "attention_bias": {{(bias ? "true" : "false")}}
        }
        """));

    /// <summary>
    /// A model whose MLP stacks gate over up in one tensor is not there yet; this one says so of its gate.
    /// </summary>
    public static ModelSpec PackedGate(ModelSpec spec) => spec with
    {
        Blocks = [.. spec.Blocks.Select(block => block with
        {
            Mlp = block.Mlp with
            {
                Gate = block.Mlp.Gate with { PackedParts = 2, OutFeatures = 2 * block.Mlp.Gate.OutFeatures },
            },
        })],
    };

    /// <summary>Reads an inline plan and lays it over a model.</summary>
    public static ResolvedTpPlan Resolve(ModelSpec spec, string json) => TpPlan.Read(json).ResolveFor(spec);

    /// <summary>The family's plan with some entries replaced or added.</summary>
    public static string AutoBut(ModelSpec spec, params (string Key, string Style)[] entries)
    {
        var plan = spec.BaseTpPlan!.ToDictionary();
        foreach (var (key, style) in entries)
        {
            plan[key] = style;
        }

        return System.Text.Json.JsonSerializer.Serialize(plan);
    }
}
