namespace TensorParallel.Worker.Devices;

/// <summary>A kernel loaded on a device; valid as long as the device.</summary>
/// <param name="Handle">CUfunction.</param>
/// <param name="Name">Entry point and defines, for messages.</param>
internal readonly record struct CudaFunction(nint Handle, string Name);
