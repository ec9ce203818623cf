using System.Collections.Frozen;
using TensorParallel.Protocol.Checkpoints;

namespace TensorParallel.Protocol.Architectures;

/// <summary>Hugging Face's words for <see cref="ActivationKind"/>.</summary>
internal static class ActivationNames
{
    private static readonly FrozenDictionary<string, ActivationKind> s_kinds = new Dictionary<string, ActivationKind>
    {
        ["silu"] = ActivationKind.Silu,
        ["swish"] = ActivationKind.Silu,
        ["gelu"] = ActivationKind.Gelu,
        ["gelu_pytorch_tanh"] = ActivationKind.GeluTanh,
        ["gelu_new"] = ActivationKind.GeluTanh,
    }.ToFrozenDictionary();

    /// <exception cref="CheckpointException">The key holds another word.</exception>
    public static ActivationKind Read(ModelConfig config, string key, string defaultName)
    {
        var name = config.StringOr(key, defaultName);
        return s_kinds.TryGetValue(name, out var kind)
            ? kind
            : throw new CheckpointException(
                $"{config.Path}: \"{key}\" is {Quote.Of(name)}; known are: " +
                $"{string.Join(", ", s_kinds.Keys.Order(StringComparer.Ordinal))}.");
    }
}
