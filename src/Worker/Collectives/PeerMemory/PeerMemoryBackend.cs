using TensorParallel.Worker.Collectives.Nccl;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Collectives.PeerMemory;

/// <summary>
/// Groups of GPUs of one host that store into each other's memory, beside NCCL, which joins them and serves what is left. Where
/// memory cannot be shared or a check of it fails, NCCL serves everything, and the group's name says why. Thread-safe.
/// </summary>
internal sealed class PeerMemoryBackend : ICollectiveBackend
{
    internal const string BackendName = "peer-memory";

    /// <summary>Set to 0 on any rank, NCCL serves everything.</summary>
    internal const string Variable = "TP_PEER_MEMORY";

    // A check that lasts longer has failed: by NVLink it takes microseconds.
    private static readonly TimeSpan s_checkTimeout = TimeSpan.FromSeconds(5);

    private readonly NcclBackend _nccl = new();

    public string Name => BackendName;

    public byte[] CreateBootstrap(int size, long maxMessageBytes) => _nccl.CreateBootstrap(size, maxMessageBytes);

    public ICollective Join(ReadOnlySpan<byte> bootstrap, int rank, int size, IDevice device, TimeSpan timeout)
    {
        var nccl = _nccl.Join(bootstrap, rank, size, device, timeout);
        if (size == 1 || device is not CudaDevice gpu)
        {
            return nccl;
        }

        try
        {
            var (collective, problem) = Upgrade(nccl, gpu, timeout);
            if (collective is null && nccl is NcclCollective alone)
            {
                alone.Name = $"{alone.Name} (no peer memory: {problem})";
            }

            return collective ?? nccl;
        }
        catch
        {
            nccl.Dispose();
            throw;
        }
    }

    private static (ICollective? Collective, string? Problem) Upgrade(ICollective nccl, CudaDevice device, TimeSpan timeout)
    {
        var exchange = new RankExchange(nccl, device);
        var (mailboxes, problem) = PeerMailboxes.Open(device, exchange, PeerGroup.MailboxBytes, Objection(nccl.Size));
        if (mailboxes is null)
        {
            return (null, problem);
        }

        var checkTimeout = timeout < s_checkTimeout ? timeout : s_checkTimeout;
        var group = new PeerGroup(device, mailboxes, nccl.Rank, checkTimeout);
        var posts = new PeerPosts(group);
        var check = new PeerCheck(group, exchange, posts);
        var (found, rowsProblem) = (check.Problem(), (string?)null);
        if (found is null)
        {
            rowsProblem = check.RowsProblem();
            found = exchange.FirstProblem(group.HasFailed ? rowsProblem : null);
        }

        if (found is not null)
        {
            group.CloseOthers();
            _ = exchange.FirstProblem(null);
            group.Dispose();
            return (null, found);
        }

        var calibration = new PeerCalibration(group, nccl, exchange);
        var choice = calibration.Choose(divides: rowsProblem is null);
        group.Timeout = timeout;
        return (new PeerMemoryCollective(group, posts, nccl, choice) { Timings = calibration.Timings }, null);
    }

    private static string? Objection(int size) =>
        Environment.GetEnvironmentVariable(Variable) == "0" ? $"{Variable} is 0"
        : size > PeerArguments.MostRanks ? $"it joins at most {PeerArguments.MostRanks} GPUs, not {size}"
        : null;
}
