using TensorParallel.Protocol.Checkpoints;

namespace TensorParallel.Coordinator.Planning.ModuleTrees;

/// <summary>Mixtral: a router, and experts stacked into two tensors.</summary>
internal sealed class MixtralModules : IModuleFamily
{
    private const int MaxExperts = 4096;

    public IReadOnlyList<string> ModelTypes { get; } = ["mixtral"];

    public ModuleTree Describe(ModelConfig config)
    {
        var experts = config.PositiveIntOr("num_local_experts", 8);
        var active = config.PositiveIntOr("num_experts_per_tok", 2);
        if (active > experts || experts > MaxExperts)
        {
            throw new CheckpointException(
                $"{config.Path}: num_experts_per_tok {active} and num_local_experts {experts} must rise in this " +
                "order, to " +
                $"at most {MaxExperts}.");
        }

        var shape = DecoderShape.Read(config) with { Experts = experts, ActiveExperts = active };
        return DecoderFrame.Build(
            shape,
            new DecoderParts("Mixtral", "input_layernorm", "post_attention_layernorm") { Mlp = Mlp(shape) });
    }

    private static ModuleNode Mlp(DecoderShape s) => ModuleNode.Of(
        "MixtralSparseMoeBlock",
        new("gate", ModuleNode.Leaf(
            "MixtralTopKRouter", TensorNode.Parameter("weight", TensorCut.Whole, s.Experts, s.Hidden))),
        new("experts", ModuleNode.Leaf(
            "MixtralExperts",
            TensorNode.Parameter("gate_up_proj", TensorCut.MlpColumns, s.Experts, 2L * s.Intermediate, s.Hidden),
            TensorNode.Parameter("down_proj", TensorCut.MlpColumns, s.Experts, s.Hidden, s.Intermediate))));
}
