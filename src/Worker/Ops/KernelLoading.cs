namespace TensorParallel.Worker.Ops;

/// <summary>Kernels that a device has loaded.</summary>
/// <param name="Loaded">Modules loaded, compiled ones included.</param>
/// <param name="Compiled">Of these, compiled because the disk did not have them.</param>
/// <param name="Duration">Time it took.</param>
internal readonly record struct KernelLoading(int Loaded, int Compiled, TimeSpan Duration);
