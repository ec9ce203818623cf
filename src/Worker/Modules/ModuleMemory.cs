using TensorParallel.Worker.Devices;
using TensorParallel.Worker.KvCache;

namespace TensorParallel.Worker.Modules;

/// <summary>Memory that attention works on but the model does not own.</summary>
/// <param name="Cache">Keys and values of this rank's layers.</param>
/// <param name="CosSin">Rotary table, see <see cref="RopeTable"/>; null on a rank without layers.</param>
internal sealed record ModuleMemory(IKvCache Cache, Tensor? CosSin);
