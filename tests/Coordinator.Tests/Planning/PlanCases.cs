using TensorParallel.Coordinator.Planning;
using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;
using TensorParallel.TestKit;

namespace TensorParallel.Coordinator.Tests.Planning;

/// <summary>Models and requests that several tests plan.</summary>
internal static class PlanCases
{
    /// <summary>A public shape: "llama-3.1-8b", "llama-3.1-70b" or "llama-3.2-1b".</summary>
    public static ModelSpec Public(string name) =>
        ArchitectureCatalog.Describe(ModelConfig.Load(Path.Combine(RepositoryPaths.Golden("configs"), $"{name}.json")));

    /// <summary>A Llama of any shape.</summary>
    public static ModelSpec Llama(
        int layers = 2,
        int hidden = 64,
        int heads = 8,
        int kvHeads = 2,
        int headDim = 64,
        int intermediate = 176,
        int vocabulary = 256,
        bool tied = false,
        bool attentionBias = false,
        bool mlpBias = false) => ArchitectureCatalog.Describe(ModelConfig.Parse($$"""
        {
          "model_type": "llama", "num_hidden_layers": {{layers}}, "hidden_size": {{hidden}},
          "num_attention_heads": {{heads}}, "num_key_value_heads": {{kvHeads}}, "head_dim": {{headDim}},
          "intermediate_size": {{intermediate}}, "vocab_size": {{vocabulary}}, "max_position_embeddings": 2048,
          "tie_word_embeddings": {{(tied ? "true" : "false")}},
          "attention_bias": {{(attentionBias ? "true" : "false")}}, "mlp_bias": {{(mlpBias ? "true" : "false")}}
        }
        """));

    /// <summary>A request for CPU workers in bf16.</summary>
    public static PlanRequest OnCpus(ModelSpec spec, int ranks) => new(spec, PlanDevice.Cpus(ranks), DType.BF16);

    /// <summary>The slice of a tensor on a rank.</summary>
    public static TensorSlice Slice(this ExecutionPlan plan, int rank, string tensor) =>
        plan.Ranks[rank].Tensors.Single(slice => slice.Name == tensor);
}
