namespace TensorParallel.Protocol.Generation;

/// <summary>Sizes that coordinator and workers agree on before anything is allocated.</summary>
/// <param name="MaxStepTokens">Most rows (prompt tokens + decoding sequences) in one step.</param>
/// <param name="MaxSequences">Most sequences in one step; also the number of sequence slots a worker keeps.</param>
/// <param name="MaxContextTokens">Longest sequence, prompt and generated tokens together.</param>
/// <param name="KvBlockTokens">Token positions in one KV block.</param>
/// <param name="KvBlocks">KV blocks that exist on every rank; block ids are 0 … KvBlocks − 1.</param>
public sealed record StepLimits(int MaxStepTokens, int MaxSequences, int MaxContextTokens, int KvBlockTokens, int KvBlocks);
