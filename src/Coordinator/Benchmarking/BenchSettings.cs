namespace TensorParallel.Coordinator.Benchmarking;

/// <summary>How to measure.</summary>
/// <param name="Grid">The cells.</param>
/// <param name="ReadGigabytesPerSecond">Reading rate of every device; null: each worker measures its own.</param>
/// <param name="Profile">Time operations by kind too, with a group of its own.</param>
internal sealed record BenchSettings(BenchGrid Grid, double? ReadGigabytesPerSecond, bool Profile);
