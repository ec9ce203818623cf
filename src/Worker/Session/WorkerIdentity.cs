namespace TensorParallel.Worker.Session;

/// <summary>Who this worker is.</summary>
/// <param name="Rank">0 … world size − 1.</param>
/// <param name="Secret">Proves to the coordinator that its launcher started this process.</param>
internal sealed record WorkerIdentity(int Rank, string Secret);
