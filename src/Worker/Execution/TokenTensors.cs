using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Execution;

/// <summary>Which tokens the rows of a step are.</summary>
/// <param name="Given">I32 [1, T]: the token, or −1 where the row goes on with its slot's last one.</param>
/// <param name="Slots">I32 [1, T]; −1: a row that only fills up the step.</param>
/// <param name="Ids">I32 [1, T]: room for what comes of it.</param>
internal sealed record TokenTensors(Tensor Given, Tensor Slots, Tensor Ids);
