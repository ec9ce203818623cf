namespace TensorParallel.Worker.Collectives.Nccl;

/// <summary>A collective call that is under way.</summary>
/// <param name="Operation">Its name.</param>
/// <param name="Number">How many-th call of this rank it is, from 1.</param>
/// <param name="Began">Stopwatch ticks at which the host made it.</param>
/// <param name="Ended">CUDA event behind it in the stream; 0 while the host is still inside it.</param>
internal readonly record struct NcclCall(string Operation, long Number, long Began, nint Ended);
