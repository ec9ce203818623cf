using TensorParallel.Protocol.Checkpoints;

namespace TensorParallel.Protocol.Parallel;

/// <summary>Facts about kinds of devices; the kind is what stands before the colon of a device's name.</summary>
public static class DeviceKinds
{
    /// <summary>The host's processor.</summary>
    public const string Cpu = "cpu";

    /// <summary>NVIDIA GPUs.</summary>
    public const string Cuda = "cuda";

    /// <summary>Kind of a device: <c>cuda:1</c> is <c>cuda</c>.</summary>
    public static string Of(string deviceName) => deviceName.Split(':', 2)[0];

    /// <summary>Number of a device: <c>cuda:1</c> is 1. It is the device's word in a device map.</summary>
    public static string NumberOf(string deviceName) => deviceName[(deviceName.IndexOf(':', StringComparison.Ordinal) + 1)..];

    /// <summary>
    /// Dtype of activations for a model of the given dtype: CPUs compute in F32, other devices in the model's own.
    /// </summary>
    public static DType ActivationDType(string deviceName, DType modelDType) =>
        Of(deviceName) == Cpu ? DType.F32 : modelDType;

    /// <summary>Rows of a prompt that a device of this kind needs in a step to be as fast as it can.</summary>
    public static int StepRows(string deviceName) => Of(deviceName) == Cpu ? 512 : 2048;

    /// <summary>Name of the collective backend that joins devices of this one's kind.</summary>
    public static string CollectiveBackend(string deviceName) => Of(deviceName) == Cpu ? "shared-memory" : "peer-memory";
}
