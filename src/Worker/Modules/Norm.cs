using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Modules;

/// <summary>Weight and epsilon of an RMS norm.</summary>
/// <param name="Weight">[1, HiddenSize].</param>
/// <param name="Epsilon">Added to the mean square.</param>
internal readonly record struct Norm(Tensor Weight, float Epsilon);
