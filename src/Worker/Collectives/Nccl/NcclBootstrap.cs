using System.Buffers.Binary;
using TensorParallel.Worker.Native;

namespace TensorParallel.Worker.Collectives.Nccl;

/// <summary>
/// The blob that rank 0 makes: a mark, the number of ranks, and NCCL's 128 opaque bytes (absent for a group of one, which needs no
/// NCCL).
/// </summary>
internal static unsafe class NcclBootstrap
{
    private const uint Mark = 0x4C43434E; // "NCCL", little endian
    private const int HeaderBytes = 8;

    /// <summary>A new group's blob.</summary>
    /// <exception cref="CollectiveException">NCCL is missing or refuses.</exception>
    public static byte[] Create(int size)
    {
        var blob = new byte[HeaderBytes + (size > 1 ? sizeof(Native.Nccl.ncclUniqueId) : 0)];
        BinaryPrimitives.WriteUInt32LittleEndian(blob, Mark);
        BinaryPrimitives.WriteInt32LittleEndian(blob.AsSpan(4), size);
        if (size == 1)
        {
            return blob;
        }

        if (Native.Nccl.UnavailableReason is { } reason)
        {
            throw new CollectiveException(reason);
        }

        try
        {
            Native.Nccl.ncclUniqueId id;
            Native.Nccl.Check(Native.Nccl.ncclGetUniqueId(&id));
            new ReadOnlySpan<byte>(&id, sizeof(Native.Nccl.ncclUniqueId)).CopyTo(blob.AsSpan(HeaderBytes));
            return blob;
        }
        catch (NativeException e)
        {
            throw new CollectiveException($"Rank 0 cannot begin a group of {size}: {e.Message}");
        }
    }

    /// <summary>The id in a blob for a group of two or more.</summary>
    /// <exception cref="CollectiveException">The blob is not one of <see cref="Create"/>, or for another number of ranks.</exception>
    public static Native.Nccl.ncclUniqueId Read(ReadOnlySpan<byte> blob, int rank, int size)
    {
        Native.Nccl.ncclUniqueId id = default;
        var idBytes = size > 1 ? sizeof(Native.Nccl.ncclUniqueId) : 0;
        if (blob.Length != HeaderBytes + idBytes || BinaryPrimitives.ReadUInt32LittleEndian(blob) != Mark
            || BinaryPrimitives.ReadInt32LittleEndian(blob[4..]) != size)
        {
            throw new CollectiveException(
                $"Rank {rank} was given {blob.Length} bytes that are no NCCL bootstrap blob for {size} ranks.");
        }

        blob[HeaderBytes..].CopyTo(new Span<byte>(&id, idBytes));
        return id;
    }
}
