using System.Diagnostics;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Collectives.PeerMemory;

/// <summary>
/// Sums and gathers of a few kilobytes to a few megabytes between GPUs that reach each other's memory; everything else goes to
/// another collective. Calls return when they are queued and can be captured. Sums are f32 in rank order, rounded once. A peer that
/// does not come within the timeout is found out by the kernel that waits for it: it ends, and <see cref="ThrowIfFailed"/> and every
/// later call throw.
/// </summary>
internal sealed class PeerMemoryCollective : ICollective
{
    // Above it a gather's two elements a packet cost more than NCCL's start.
    private const long MostGatheredBytes = 32 << 10;
    private static readonly TimeSpan s_farewell = TimeSpan.FromSeconds(2);

    private readonly PeerGroup _group;
    private readonly PeerCalls _calls;
    private readonly PeerRowCalls _rowCalls;
    private readonly PeerPosts _posts;
    private readonly ICollective _others;

    /// <summary>Takes over the group and the collective for what peers' memory is not for.</summary>
    /// <param name="group">The group.</param>
    /// <param name="posts">Its messages, counted from the first.</param>
    /// <param name="others">For everything else.</param>
    /// <param name="choice">Which way calls go.</param>
    public PeerMemoryCollective(PeerGroup group, PeerPosts posts, ICollective others, PeerChoice choice)
    {
        _group = group;
        _calls = new PeerCalls(group);
        _rowCalls = new PeerRowCalls(group);
        _posts = posts;
        _others = others;
        Choice = choice;
    }

    public string Name => $"peer memory ({Choice}), else {_others.Name}";

    public int Rank => _group.Rank;

    public int Size => _group.Size;

    public IReadOnlyList<CollectiveTiming> Timings { get; init; } = [];

    /// <summary>Which way calls go; must be the same on all ranks at each call.</summary>
    public PeerChoice Choice { get; set; }

    /// <summary>Longest wait of a kernel for a peer.</summary>
    public TimeSpan Timeout
    {
        get => _group.Timeout;
        set => _group.Timeout = value;
    }

    public void AllReduceSum(Tensor x)
    {
        GroupCalls.CheckSummable(x, takesHalf: true);
        CheckDevice(x);
        var bytes = Bytes(x);
        if (bytes == 0)
        {
            return;
        }

        _group.ThrowIfFailed();
        if (Shots(x) is { } twoShot)
        {
            _calls.Sum(x, twoShot);
            return;
        }

        _others.AllReduceSum(x);
    }

    public bool TryAllReduceAddRmsNorm(Tensor delta, Tensor residual, Tensor weight, float epsilon, Tensor normed)
    {
        CheckNorm(delta, residual, weight, normed);
        if (Bytes(delta) == 0 || !PeerCalls.CanSumNorm(delta, residual, weight, normed)
            || Shots(delta, keepRows: true) is not { } twoShot)
        {
            return false;
        }

        _group.ThrowIfFailed();
        _calls.SumNorm(delta, residual, weight, epsilon, normed, twoShot, Choice.PartsOf(delta.Rows, delta.Columns));
        return true;
    }

    public bool TryDividedAllReduceAddRmsNorm(Tensor delta, Tensor residual, Tensor weight, float epsilon, Tensor normed)
    {
        CheckNorm(delta, residual, weight, normed);
        if (Bytes(delta) < Choice.DividedBytes || !_rowCalls.CanSumNorm(delta, residual, weight, normed))
        {
            return false;
        }

        _group.ThrowIfFailed();
        _rowCalls.SumNorm(delta, residual, weight, epsilon, normed);
        return true;
    }

    public void CompleteRows(Tensor residual)
    {
        for (var rank = 0; rank < Size; rank++)
        {
            foreach (var (first, rows) in _rowCalls.SharesOf(rank, residual.Rows, residual.Columns))
            {
                Broadcast(residual.RowsAt(first, rows), rank);
            }
        }
    }

    public void AllGatherColumns(Tensor part, Tensor whole, IReadOnlyList<int> columns)
    {
        GroupCalls.CheckGather(part, whole, columns, Rank, Size);
        CheckDevice(part);
        CheckDevice(whole);
        var bytes = Bytes(whole);
        if (bytes == 0)
        {
            return;
        }

        _group.ThrowIfFailed();
        var most = (long)columns.Max() * whole.Rows;
        if (bytes <= Math.Min(MostGatheredBytes, Choice.OneShotBytes) && whole.DType.SizeInBytes() is 2 or 4 && _calls.CanGather(most))
        {
            _calls.Gather(part, whole, columns);
            return;
        }

        _others.AllGatherColumns(part, whole, columns);
    }

    public void Broadcast(Tensor x, int root)
    {
        _group.ThrowIfFailed();
        _others.Broadcast(x, root);
    }

    public void Send(Tensor x, int peer)
    {
        _group.ThrowIfFailed();
        _others.Send(x, peer);
    }

    public void Receive(Tensor x, int peer)
    {
        _group.ThrowIfFailed();
        _others.Receive(x, peer);
    }

    public void Post(Tensor x, int peer)
    {
        if (!CanPost(x, peer))
        {
            _others.Post(x, peer);
            return;
        }

        _group.ThrowIfFailed();
        _posts.Post(x, peer);
    }

    public void Take(Tensor x, int peer)
    {
        if (!CanPost(x, peer))
        {
            _others.Take(x, peer);
            return;
        }

        _group.ThrowIfFailed();
        _posts.Take(x, peer);
    }

    public void Barrier()
    {
        _group.ThrowIfFailed();
        _others.Barrier();
        _group.ThrowIfFailed();
    }

    public void Replayed() => _others.Replayed();

    public void ThrowIfFailed()
    {
        _group.ThrowIfFailed();
        _others.ThrowIfFailed();
    }

    /// <summary>
    /// Memory goes when the peers have unmapped it, or have had time to. A group that failed is not waited for: its kernels have
    /// ended, and peers that still store here do so until their own end.
    /// </summary>
    public void Dispose() => Disposal.Run(Leave, _group.GiveUp, _others.Dispose, _group.Dispose);

    private void Leave()
    {
        var began = Stopwatch.GetTimestamp();
        var isQuiet = WaitUntilIdle(began);
        _group.CloseOthers();
        if (isQuiet && !_group.HasFailed)
        {
            TryFarewell();
            WaitUntilIdle(began);
        }
    }

    // Queues a call that ends when every peer has come here, too.
    private void TryFarewell()
    {
        try
        {
            _others.AllReduceSum(_group.Token);
        }
        catch (CollectiveException)
        {
            // A peer is gone: whoever waited for it was told, and it has nothing mapped any more.
        }
    }

    private bool WaitUntilIdle(long began)
    {
        while (!_group.Device.IsIdle)
        {
            if (Stopwatch.GetElapsedTime(began) > s_farewell)
            {
                return false;
            }

            Thread.Sleep(1);
        }

        return true;
    }

    private bool CanPost(Tensor x, int peer)
    {
        GroupCalls.CheckBounds(x, nameof(x));
        CheckDevice(x);
        return peer != Rank && peer >= 0 && peer < Size ? PeerPosts.CanPost(x) : throw GroupCalls.NoSuchPeer(peer, Size);
    }

    private static long Bytes(Tensor x) => (long)x.Rows * x.Columns * x.DType.SizeInBytes();

    // One shot (false), two (true) or neither (null).
    private bool? Shots(Tensor x, bool keepRows = false)
    {
        var bytes = Bytes(x);
        if (bytes > PeerGroup.HalfBytes)
        {
            return null;
        }

        var shape = PeerShape.Of(x, keepRows);
        return bytes <= Choice.OneShotBytes && _calls.CanSum(shape, twoShot: false) ? false
            : bytes <= Choice.TwoShotBytes && _calls.CanSum(shape, twoShot: true) ? true
            : null;
    }

    private void CheckNorm(Tensor delta, Tensor residual, Tensor weight, Tensor normed)
    {
        GroupCalls.CheckSummable(delta, takesHalf: true);
        GroupCalls.CheckNorm(delta, residual, weight, normed);
        foreach (var tensor in (ReadOnlySpan<Tensor>)[delta, residual, weight, normed])
        {
            CheckDevice(tensor);
        }
    }

    private void CheckDevice(Tensor x)
    {
        if (x.Buffer is not CudaBuffer buffer || buffer.Device != _group.Device)
        {
            throw new ArgumentException($"The tensor does not lie on {_group.Device.Name}.", nameof(x));
        }
    }
}
