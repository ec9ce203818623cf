using TensorParallel.Protocol.Generation;

namespace TensorParallel.Protocol.Parallel;

/// <summary>
/// What a worker takes of its device beside weights, cache and workspace: <see cref="DeviceScratch"/>, which it allocates itself, and
/// what driver and libraries take for it, which no formula knows.
/// </summary>
public static class DeviceRuntime
{
    // Measured on H100s with CUDA 13 and NCCL 2.28, 8B shape: `memory` of `coordinator bench --json` gives used_bytes and the bytes that the
    // worker allocated; what lies between them was 582 MiB on one GPU, 1,456 to 1,461 on two and four by tensor parallelism, and in a device
    // map on four 1,535 on the first stage, 1,857 between, 1,788 on the last. Where driver or libraries are others, measure anew.
    private const long CudaContextBytes = 582L << 20; // context, kernels' code, cuBLASLt's kernels, recorded graphs
    private const long NcclGroupBytes = 876L << 20;   // a communicator of more than one GPU, with its channels' buffers
    private const long NcclSendBytes = 76L << 20;     // a connection to the next stage
    private const long NcclReceiveBytes = 322L << 20; // and one from the stage before

    /// <summary>Of driver and libraries on one device of a group; 0 where that is not known apart from other memory.</summary>
    /// <param name="device">The device.</param>
    /// <param name="worldSize">Number of ranks.</param>
    /// <param name="sends">It is a stage with another behind it.</param>
    /// <param name="receives">It is a stage with another before it.</param>
    public static long LibraryBytes(string device, int worldSize, bool sends = false, bool receives = false) =>
        DeviceKinds.Of(device) != DeviceKinds.Cuda ? 0
        : CudaContextBytes + (worldSize > 1 ? NcclGroupBytes : 0) + (sends ? NcclSendBytes : 0) + (receives ? NcclReceiveBytes : 0);

    /// <summary>All of it on one rank.</summary>
    /// <param name="device">Its device.</param>
    /// <param name="headTokens">Vocabulary rows of its output head; 0 without one.</param>
    /// <param name="limits">The largest step.</param>
    /// <param name="worldSize">Number of ranks.</param>
    /// <param name="sends">See <see cref="LibraryBytes"/>.</param>
    /// <param name="receives">See <see cref="LibraryBytes"/>.</param>
    public static long Bytes(
        string device, int headTokens, StepLimits limits, int worldSize, bool sends = false, bool receives = false) =>
        DeviceScratch.Bytes(device, headTokens, limits, worldSize) + LibraryBytes(device, worldSize, sends, receives);
}
