namespace TensorParallel.Worker.Collectives.SharedMemory;

/// <summary>Which call a rank is in, for messages and to notice ranks that do not make the same call.</summary>
/// <param name="Operation">Name of the operation.</param>
/// <param name="Number">Calls of this rank so far, this one included.</param>
internal readonly record struct CallSite(string Operation, long Number);
