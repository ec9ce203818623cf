namespace TensorParallel.Worker.Ops.Cpu;

/// <summary>A piece of attention: rows of one sequence, one KV head.</summary>
/// <param name="Sequence">Index of the sequence.</param>
/// <param name="FirstRow">First row of the step.</param>
/// <param name="Rows">Number of rows.</param>
/// <param name="KvHead">Local KV head.</param>
internal readonly record struct AttentionItem(int Sequence, int FirstRow, int Rows, int KvHead);
