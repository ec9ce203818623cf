namespace TensorParallel.Coordinator.Planning;

/// <summary>One line of the printed plan: what one rank (or all alike) holds of one kind of module.</summary>
/// <param name="Module">Pattern: <c>layers.*.self_attn.q_proj</c>.</param>
/// <param name="Style">Style's name.</param>
/// <param name="Rank">The rank's number; <c>all</c> when they hold the same.</param>
/// <param name="Cut">For people: <c>rows 0–191 (heads 0–2)</c>.</param>
/// <param name="Bytes">Weights and biases of all layers of the pattern, on one rank.</param>
internal sealed record PlanRow(string Module, string Style, string Rank, string Cut, long Bytes);
