namespace TensorParallel.Protocol.Architectures;

/// <summary>
/// Causal grouped-query attention. Query head h reads key/value head <c>h / (NumAttentionHeads / NumKeyValueHeads)</c>.
/// </summary>
/// <param name="Query">[NumAttentionHeads · HeadDim, hidden].</param>
/// <param name="Key">[NumKeyValueHeads · HeadDim, hidden].</param>
/// <param name="Value">[NumKeyValueHeads · HeadDim, hidden].</param>
/// <param name="Output">[hidden, NumAttentionHeads · HeadDim].</param>
/// <param name="NumAttentionHeads">Full number of query heads.</param>
/// <param name="NumKeyValueHeads">Full number of key/value heads; divides NumAttentionHeads.</param>
/// <param name="HeadDim">Size of one head.</param>
/// <param name="Scale">Factor on q·k, usually HeadDim^-0.5.</param>
/// <param name="Rope">Rotation of queries and keys.</param>
public sealed record AttentionSpec(
    LinearSpec Query,
    LinearSpec Key,
    LinearSpec Value,
    LinearSpec Output,
    int NumAttentionHeads,
    int NumKeyValueHeads,
    int HeadDim,
    float Scale,
    RopeSpec Rope)
{
    /// <summary>Query heads that share one key/value head.</summary>
    public int GroupSize => NumAttentionHeads / NumKeyValueHeads;
}
