using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Quantization;

/// <summary>
/// Gives the memory of a weight: a dense [rows, columns] tensor that has a buffer to itself. Whether that is device memory for good or
/// a part of a slot is the giver's affair.
/// </summary>
internal delegate Tensor WeightMemory(DType dtype, int rows, int columns);
