namespace TensorParallel.Worker.Devices;

/// <summary>A device has too little memory; the message names the device, the purpose, and the bytes wanted and free.</summary>
internal sealed class DeviceMemoryException(string message) : Exception(message);
