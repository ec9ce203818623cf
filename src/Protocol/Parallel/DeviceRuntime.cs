using TensorParallel.Protocol.Generation;

namespace TensorParallel.Protocol.Parallel;

/// <summary>
/// What a worker takes of its device beside weights, cache and workspace: <see cref="DeviceScratch"/>, which it allocates itself, and
/// what driver and libraries take for it, which no formula knows.
/// </summary>
public static class DeviceRuntime
{
    // ── Measured: <c>memory</c> of `coordinator generate --json` and `bench --json` gives used_bytes and planned_bytes of every rank;
    // their difference, added to what stands here, is the new value. Not yet from a measurement: first guesses by the size of a context
    // on data-center GPUs.
    private const long CudaContextBytes = 560L << 20; // context, kernels' code, cuBLASLt's kernels, recorded graphs
    private const long NcclGroupBytes = 160L << 20;   // a communicator of more than one GPU
    private const long NcclRankBytes = 32L << 20;     // and for each of its ranks: channels and their buffers

    /// <summary>Of driver and libraries on one device of a group; 0 where that is not known apart from other memory.</summary>
    /// <param name="device">The device.</param>
    /// <param name="worldSize">Number of ranks.</param>
    public static long LibraryBytes(string device, int worldSize) =>
        DeviceKinds.Of(device) != DeviceKinds.Cuda ? 0
        : CudaContextBytes + (worldSize > 1 ? NcclGroupBytes + (worldSize * NcclRankBytes) : 0);

    /// <summary>All of it on one rank.</summary>
    /// <param name="device">Its device.</param>
    /// <param name="headTokens">Vocabulary rows of its output head; 0 without one.</param>
    /// <param name="limits">The largest step.</param>
    /// <param name="worldSize">Number of ranks.</param>
    public static long Bytes(string device, int headTokens, StepLimits limits, int worldSize) =>
        DeviceScratch.Bytes(device, headTokens, limits, worldSize) + LibraryBytes(device, worldSize);
}
