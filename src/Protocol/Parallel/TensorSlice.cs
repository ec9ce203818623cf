namespace TensorParallel.Protocol.Parallel;

/// <summary>
/// What one rank holds of one checkpoint tensor, in logical rows or columns (never bytes of the file).
/// </summary>
/// <param name="Name">The checkpoint's tensor name.</param>
/// <param name="Style">
/// Canonical TP style name (<c>colwise</c>, <c>rowwise</c>, …; <c>replicate</c> for a whole tensor).
/// </param>
/// <param name="Dim">Cut dimension: 0 rows, 1 columns; null: the tensor is held whole.</param>
/// <param name="Ranges">
/// Held parts along <paramref name="Dim"/>, in storage order; empty when Dim is null. Two ranges for a packed gate‖up.
/// Example: 8 heads of 64 over 3 ranks, rank 1 of q_proj: dim 0, [[192, 384]].
/// </param>
/// <param name="Bytes">Bytes on the device, in the dtype the run uses.</param>
public sealed record TensorSlice(string Name, string Style, int? Dim, IReadOnlyList<IndexRange> Ranges, long Bytes);
