namespace TensorParallel.Coordinator.Benchmarking;

/// <summary>One cell of the grid.</summary>
/// <param name="PromptTokens">Tokens of each prompt.</param>
/// <param name="NewTokens">Tokens generated for each.</param>
/// <param name="Batch">Sequences at once.</param>
internal readonly record struct BenchCell(int PromptTokens, int NewTokens, int Batch);
