namespace TensorParallel.Worker.Offloading;

/// <summary>What a group takes in a decode step.</summary>
/// <param name="FromFiles">Whether it is read from files instead of host memory: both go on at once.</param>
/// <param name="Come">Seconds until it is on the device when nothing else is on its way.</param>
/// <param name="Compute">Seconds of the device with it.</param>
internal readonly record struct GroupTimes(bool FromFiles, double Come, double Compute);
