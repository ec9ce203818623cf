namespace TensorParallel.Coordinator.Planning.Fit;

/// <summary>A device to place units on.</summary>
/// <param name="Name">Its word in a device map.</param>
/// <param name="Bytes">For weights, cache and workspace; null: not known, so everything fits.</param>
/// <param name="Speed">
/// How fast it reads, in any unit that is the same for all; 1 for all where it is not known.
/// </param>
internal sealed record FitDevice(string Name, long? Bytes, double Speed = 1);
