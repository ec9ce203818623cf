namespace TensorParallel.Protocol.Architectures;

/// <summary>One pre-norm decoder block: <c>x += Attention(InputNorm(x)); x += Mlp(PostAttentionNorm(x))</c>.</summary>
/// <param name="Name">Module path, for example <c>model.layers.3</c>.</param>
/// <param name="InputNorm">Before attention.</param>
/// <param name="Attention">The attention.</param>
/// <param name="PostAttentionNorm">Before the MLP.</param>
/// <param name="Mlp">The MLP.</param>
public sealed record BlockSpec(
    string Name, NormSpec InputNorm, AttentionSpec Attention, NormSpec PostAttentionNorm, MlpSpec Mlp)
{
    /// <summary>The linear layers in the order they run.</summary>
    public IReadOnlyList<LinearSpec> Linears =>
        [Attention.Query, Attention.Key, Attention.Value, Attention.Output, Mlp.Gate, Mlp.Up, Mlp.Down];
}
