using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Collectives.Nccl;

/// <summary>
/// Groups of GPUs joined by NCCL, one GPU a rank. NCCL's own environment variables apply unchanged. A group of one needs no NCCL.
/// Thread-safe.
/// </summary>
internal sealed class NcclBackend : ICollectiveBackend
{
    internal const string BackendName = "nccl";

    public string Name => BackendName;

    public byte[] CreateBootstrap(int size, long maxMessageBytes)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(size, 1);
        ArgumentOutOfRangeException.ThrowIfNegative(maxMessageBytes);
        return NcclBootstrap.Create(size);
    }

    public ICollective Join(ReadOnlySpan<byte> bootstrap, int rank, int size, IDevice device, TimeSpan timeout)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(size, 1);
        GroupCalls.CheckPeer(rank, size, nameof(rank));
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(timeout, TimeSpan.Zero);
        if (device is not CudaDevice gpu)
        {
            throw new CollectiveException(
                $"Rank {rank} runs on {device.Name}, but the {Name} backend moves GPU memory only: use it with cuda devices.");
        }

        var id = NcclBootstrap.Read(bootstrap, rank, size);
        return size == 1
            ? new SingleRankCollective(device)
            : new NcclCollective(gpu, NcclCommunicator.Join(id, rank, size, gpu, timeout));
    }
}
