using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Quantization;

namespace TensorParallel.Worker.Modules;

/// <summary>
/// Where the weights of a module lie, and who has to know when they are used. Modules compute with tensors and do not see the difference.
/// </summary>
internal interface IWeightPlace
{
    /// <summary>Memory that operations find a matrix in; the caller disposes what it is given.</summary>
    DeviceBuffer Allocate(long bytes);

    /// <summary>The same for a norm's weight or a bias.</summary>
    DeviceBuffer AllocateVector(long bytes) => Allocate(bytes);

    /// <summary>
    /// What has to be loaded now so that <paramref name="target"/>, in memory of <see cref="Allocate"/>, is there when operations come:
    /// itself, or the same part with another destination; null where it is read from files for each use.
    /// </summary>
    WeightTarget? ToLoad(WeightTarget target);

    /// <summary>
    /// A linear weight in memory of <see cref="Allocate"/> as modules are to use it: itself, or one that computes elsewhere.
    /// </summary>
    /// <param name="weight">The weight.</param>
    /// <param name="parts">What of it has to be loaded, in storage order; as <see cref="ToLoad"/> says, or as it was.</param>
    ILinearWeight Use(ILinearWeight weight, IReadOnlyList<WeightTarget> parts) => weight;

    /// <summary>The weights are read by what is issued from now on, with so many rows.</summary>
    void Enter(int rows);

    /// <summary>What was issued before was the last that reads them in this pass.</summary>
    void Leave();
}
