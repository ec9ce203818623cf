namespace TensorParallel.Worker.Devices;

/// <summary>What an eviction or its undoing moved; bytes.</summary>
/// <param name="Device">Device memory given back, or taken again.</param>
/// <param name="Copied">Of it, what was copied between device and host; the rest has no contents worth keeping, or a copy already.</param>
internal readonly record struct MovedMemory(long Device, long Copied);
