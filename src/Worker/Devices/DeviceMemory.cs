namespace TensorParallel.Worker.Devices;

/// <summary>Memory of a whole device, whoever uses it, and host memory that this process has pinned for it; bytes.</summary>
/// <param name="Total">All of it.</param>
/// <param name="Free">What nobody uses, other processes included.</param>
/// <param name="Pinned">Host memory that cannot be paged out: slots that copies pass through, and what was evicted.</param>
internal readonly record struct DeviceMemory(long Total, long Free, long Pinned);
