using System.Buffers.Binary;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Native;

namespace TensorParallel.Worker.Collectives.PeerMemory;

/// <summary>
/// One piece of memory on every rank's GPU, mapped for all of them: by CUDA IPC between processes, directly between the ranks of one
/// process (which cannot open their own handles). Fresh mailboxes are zero. Used by one thread.
/// </summary>
internal sealed class PeerMailboxes : IDisposable
{
    // Tells the ranks of this process from others; process ids may repeat between containers.
    private static readonly Guid s_process = Guid.NewGuid();

    private readonly CudaDevice _device;
    private readonly RankExchange _exchange;
    private readonly List<CudaSharedMemory> _opened = [];
    private readonly ulong[] _addresses;
    private DeviceBuffer? _own;
    private CudaProcessMemory? _ownOfProcess;

    private PeerMailboxes(CudaDevice device, RankExchange exchange)
    {
        _device = device;
        _exchange = exchange;
        _addresses = new ulong[exchange.Size];
    }

    /// <summary>Address of every rank's mailbox for this rank's GPU.</summary>
    public ReadOnlySpan<ulong> Addresses => _addresses;

    /// <summary>Sets up the mailboxes of all ranks, or of none; every rank calls it and gets the same answer.</summary>
    /// <param name="device">This rank's GPU.</param>
    /// <param name="exchange">The ranks.</param>
    /// <param name="bytes">Of a mailbox.</param>
    /// <param name="objection">Why this rank does not want them, or null.</param>
    /// <returns>The mailboxes, or why there are none.</returns>
    public static (PeerMailboxes? Mailboxes, string? Problem) Open(
        CudaDevice device, RankExchange exchange, long bytes, string? objection)
    {
        var boxes = new PeerMailboxes(device, exchange);
        var problem = boxes.TryOpen(bytes, objection);
        if (problem is null)
        {
            return (boxes, null);
        }

        boxes.CloseOthers();
        _ = exchange.FirstProblem(null); // everybody has closed everybody's
        boxes.Dispose();
        return (null, problem);
    }

    /// <summary>Unmaps the others' mailboxes, then frees the own one: the others should have unmapped it.</summary>
    public void Dispose()
    {
        var (own, ownOfProcess) = (_own, _ownOfProcess);
        (_own, _ownOfProcess) = (null, null);
        Disposal.Run(CloseOthers, () => Disposal.Of(own, ownOfProcess));
    }

    /// <summary>Unmaps the others' mailboxes.</summary>
    public void CloseOthers()
    {
        CudaSharedMemory[] opened = [.. _opened];
        _opened.Clear();
        Disposal.Of(opened);
    }

    private string? TryOpen(long bytes, string? objection)
    {
        if (_exchange.FirstProblem(objection) is { } refused)
        {
            return refused;
        }

        var processes = _exchange.AllGather(s_process.ToByteArray()).Select(p => new Guid(p)).ToArray();
        var uuids = _exchange.AllGather(_device.Uuid());
        var isOneProcess = processes.All(p => p == s_process);
        if (!isOneProcess && processes.Distinct().Count() < processes.Length)
        {
            return "some ranks share a process and others do not";
        }

        return Agreed(() => CheckReach(uuids))
            ?? (isOneProcess ? OpenInProcess(uuids, bytes) : OpenBetweenProcesses(bytes));
    }

    private string? CheckReach(byte[][] uuids) =>
        uuids.Where((_, rank) => rank != _exchange.Rank).Select(u => _device.WhyUnreachable(u)).FirstOrDefault(p => p is not null);

    private string? OpenInProcess(byte[][] uuids, long bytes)
    {
        var others = uuids.Where((_, rank) => rank != _exchange.Rank);
        var problem = Agreed(() =>
        {
            _ownOfProcess = _device.AllocateForProcess(bytes, others);
            _device.Synchronize();
            return null;
        });
        if (problem is not null)
        {
            return problem;
        }

        var own = new byte[sizeof(ulong)];
        BinaryPrimitives.WriteUInt64LittleEndian(own, (ulong)_ownOfProcess!.Address);
        var all = _exchange.AllGather(own);
        for (var rank = 0; rank < all.Length; rank++)
        {
            _addresses[rank] = BinaryPrimitives.ReadUInt64LittleEndian(all[rank]);
        }

        return null;
    }

    private string? OpenBetweenProcesses(long bytes)
    {
        var handle = new byte[CudaSharedMemory.HandleBytes];
        var problem = Agreed(() =>
        {
            _own = _device.Allocate(bytes, MemoryPurpose.Scratch);
            _device.Clear(_own, 0, bytes);
            _device.Synchronize();
            handle = CudaSharedMemory.Export((CudaBuffer)_own);
            return null;
        });
        if (problem is not null)
        {
            return problem;
        }

        var handles = _exchange.AllGather(handle);
        return Agreed(() =>
        {
            for (var rank = 0; rank < handles.Length; rank++)
            {
                if (rank == _exchange.Rank)
                {
                    _addresses[rank] = (ulong)_own!.Address;
                    continue;
                }

                var opened = CudaSharedMemory.Open(_device, handles[rank]);
                _opened.Add(opened);
                _addresses[rank] = (ulong)opened.Address;
            }

            return null;
        });
    }

    // Does a step on every rank and says whose failed.
    private string? Agreed(Func<string?> step)
    {
        string? problem;
        try
        {
            problem = step();
        }
        catch (Exception e) when (e is NativeException or DeviceMemoryException)
        {
            problem = e.Message;
        }

        return _exchange.FirstProblem(problem);
    }
}
