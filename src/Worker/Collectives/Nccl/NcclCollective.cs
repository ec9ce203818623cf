using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;
using Library = TensorParallel.Worker.Native.Nccl;

namespace TensorParallel.Worker.Collectives.Nccl;

/// <summary>
/// Collectives of GPUs by NCCL, on the device's stream: calls return when they are queued, except <see cref="Barrier"/>. All ranks
/// get the same bits, in an order of summation that NCCL chooses. Rows with gaps are packed into staging memory, which grows to
/// the largest call; tensors without gaps go as they are. Every call but <see cref="Barrier"/> can be captured once its like was made.
/// </summary>
internal sealed unsafe class NcclCollective : ICollective
{
    private readonly CudaDevice _device;
    private readonly NcclCommunicator _communicator;
    private readonly DeviceBuffer _token;
    private readonly List<DeviceBuffer> _recorded = [];
    private DeviceBuffer? _staging;
    private bool _stagingIsRecorded;

    /// <summary>Takes over the communicator; the device stays the caller's.</summary>
    public NcclCollective(CudaDevice device, NcclCommunicator communicator)
    {
        _device = device;
        _communicator = communicator;
        _token = device.Allocate(sizeof(float), MemoryPurpose.Scratch);
        device.Clear(_token, 0, sizeof(float));
    }

    public string Name { get; set; } = NcclBackend.BackendName;

    public int Rank => _communicator.Rank;

    public int Size => _communicator.Size;

    public void AllReduceSum(Tensor x)
    {
        GroupCalls.CheckSummable(x, takesHalf: true);
        CheckDevice(x);
        var rows = DeviceRows.Of(x);
        if (rows.Bytes == 0)
        {
            return;
        }

        var packed = Pack(rows);
        var count = (nuint)(rows.Bytes / x.DType.SizeInBytes());
        var handle = _communicator.Begin(nameof(AllReduceSum));
        _communicator.End(Library.ncclAllReduce(
            (void*)packed.Address, (void*)packed.Address, count, Type(x.DType), Library.ncclSum, handle, _device.Stream));
        Unpack(packed, rows);
    }

    public void AllGatherColumns(Tensor part, Tensor whole, IReadOnlyList<int> columns)
    {
        GroupCalls.CheckGather(part, whole, columns, Rank, Size);
        CheckDevice(part);
        CheckDevice(whole);
        var target = DeviceRows.Of(whole);
        if (target.Bytes == 0)
        {
            return;
        }

        // One row is gathered in place; more arrive rank after rank and are then laid side by side.
        var element = whole.DType.SizeInBytes();
        var parts = DeviceRows.Dense(target.Rows == 1 ? target.Address : Staging(target.Bytes), 1, target.Bytes);
        long before = 0;
        for (var rank = 0; rank < Rank; rank++)
        {
            before += columns[rank];
        }

        var own = DeviceRows.Dense(parts.Address + (ulong)(before * element * target.Rows), target.Rows, columns[Rank] * (long)element);
        DeviceRows.Of(part).CopyTo(own, _device);
        Gather(parts.Address, columns, target.Rows * (long)element);
        if (target.Rows > 1)
        {
            LayOut(parts.Address, target, columns, element);
        }
    }

    public void Broadcast(Tensor x, int root)
    {
        GroupCalls.CheckPeer(root, Size, nameof(root));
        var rows = Checked(x);
        if (rows.Bytes > 0)
        {
            var packed = Pack(rows);
            var handle = _communicator.Begin(nameof(Broadcast));
            _communicator.End(Library.ncclBroadcast(
                (void*)packed.Address, (void*)packed.Address, (nuint)rows.Bytes, Library.ncclInt8, root, handle, _device.Stream));
            Unpack(packed, rows);
        }
    }

    public void Send(Tensor x, int peer)
    {
        CheckOther(peer);
        var rows = Checked(x);
        if (rows.Bytes > 0)
        {
            var packed = Pack(rows);
            var handle = _communicator.Begin(nameof(Send));
            _communicator.End(Library.ncclSend(
                (void*)packed.Address, (nuint)rows.Bytes, Library.ncclInt8, peer, handle, _device.Stream));
        }
    }

    public void Receive(Tensor x, int peer)
    {
        CheckOther(peer);
        var rows = Checked(x);
        if (rows.Bytes > 0)
        {
            var packed = rows.IsDense ? rows : DeviceRows.Dense(Staging(rows.Bytes), rows.Rows, rows.RowBytes);
            var handle = _communicator.Begin(nameof(Receive));
            _communicator.End(Library.ncclRecv(
                (void*)packed.Address, (nuint)rows.Bytes, Library.ncclInt8, peer, handle, _device.Stream));
            Unpack(packed, rows);
        }
    }

    /// <summary>
    /// NCCL's send of a small message ends when it lies in the connection's buffer: up to 16 KiB go by its LL protocol
    /// (NCCL_P2P_LL_THRESHOLD), which always takes that way, and the buffer has eight pieces (NCCL_STEPS), as many as <see
    /// cref="ICollective.MostPosted"/>. NCCL's documentation promises none of this, which is one reason why peer memory does it where it
    /// can; were it otherwise, stages could wait in a circle, and the group's timeout would say so.
    /// </summary>
    public void Post(Tensor x, int peer)
    {
        RefuseRecording(nameof(Post));
        Send(x, peer);
    }

    public void Take(Tensor x, int peer)
    {
        RefuseRecording(nameof(Take));
        Receive(x, peer);
    }

    public void Barrier()
    {
        var handle = _communicator.Begin(nameof(Barrier));
        _communicator.End(Library.ncclAllReduce(
            (void*)_token.Address, (void*)_token.Address, 1, Library.ncclFloat32, Library.ncclSum, handle, _device.Stream));
        _device.Synchronize();
        _communicator.ThrowIfFailed();
    }

    public void Replayed() => _communicator.Replayed();

    public void ThrowIfFailed() => _communicator.ThrowIfFailed();

    public void Dispose() => Disposal.Of([_communicator, _staging, .. _recorded, _token]);

    private static int Type(DType dtype) => dtype switch
    {
        DType.F32 => Library.ncclFloat32,
        DType.BF16 => Library.ncclBfloat16,
        DType.F16 => Library.ncclFloat16,
        _ => throw new ArgumentException($"NCCL does not sum {dtype} here.", nameof(dtype)),
    };

    // Even parts by NCCL's own gather; uneven ones by a broadcast of each rank that has any, as one group.
    private void Gather(ulong address, IReadOnlyList<int> columns, long bytesOfColumn)
    {
        var handle = _communicator.Begin(nameof(AllGatherColumns));
        if (columns.All(c => c == columns[0]))
        {
            var bytes = columns[0] * bytesOfColumn;
            _communicator.End(Library.ncclAllGather(
                (void*)(address + (ulong)(bytes * Rank)), (void*)address, (nuint)bytes, Library.ncclInt8, handle, _device.Stream));
            return;
        }

        var status = Library.ncclGroupStart();
        for (var rank = 0; rank < Size && status == Library.ncclSuccess; rank++)
        {
            var bytes = columns[rank] * bytesOfColumn;
            if (bytes > 0)
            {
                status = Library.ncclBroadcast(
                    (void*)address, (void*)address, (nuint)bytes, Library.ncclInt8, rank, handle, _device.Stream);
                address += (ulong)bytes;
            }
        }

        var ended = Library.ncclGroupEnd();
        _communicator.End(status == Library.ncclSuccess ? ended : status);
    }

    private void LayOut(ulong address, DeviceRows target, IReadOnlyList<int> columns, int element)
    {
        foreach (var width in columns)
        {
            var rowBytes = (long)width * element;
            var place = target with { RowBytes = rowBytes };
            DeviceRows.Dense(address, target.Rows, rowBytes).CopyTo(place, _device);
            address += (ulong)place.Bytes;
            target = target with { Address = target.Address + (ulong)rowBytes };
        }
    }

    private DeviceRows Pack(DeviceRows rows)
    {
        if (rows.IsDense)
        {
            return rows;
        }

        var packed = DeviceRows.Dense(Staging(rows.Bytes), rows.Rows, rows.RowBytes);
        rows.CopyTo(packed, _device);
        return packed;
    }

    private void Unpack(DeviceRows packed, DeviceRows rows)
    {
        if (!rows.IsDense)
        {
            packed.CopyTo(rows, _device);
        }
    }

    private ulong Staging(long bytes)
    {
        _device.MakeCurrent();
        if (_staging is null || _staging.Bytes < bytes)
        {
            // Freeing waits for the GPU, so nothing still uses the old one, unless graphs have its address.
            if (_stagingIsRecorded)
            {
                _recorded.Add(_staging!);
            }
            else
            {
                _staging?.Dispose();
            }

            (_staging, _stagingIsRecorded) = (null, false);
            _staging = _device.Allocate(bytes, MemoryPurpose.Scratch);
        }

        _stagingIsRecorded |= _device.IsCapturing;

        return (ulong)_staging.Address;
    }

    private DeviceRows Checked(Tensor x)
    {
        GroupCalls.CheckBounds(x, nameof(x));
        CheckDevice(x);
        return DeviceRows.Of(x);
    }

    private void CheckDevice(Tensor x)
    {
        if (x.Buffer is not CudaBuffer buffer || buffer.Device != _device)
        {
            throw new ArgumentException($"The tensor does not lie on {_device.Name}.", nameof(x));
        }

        _device.MakeCurrent();
    }

    private void RefuseRecording(string call)
    {
        if (_device.IsCapturing)
        {
            throw new InvalidOperationException($"{call} cannot be part of a recorded step.");
        }
    }

    private void CheckOther(int peer)
    {
        if (peer == Rank || peer < 0 || peer >= Size)
        {
            throw GroupCalls.NoSuchPeer(peer, Size);
        }
    }
}
