using System.Buffers;
using System.Buffers.Binary;
using System.Text;

namespace TensorParallel.Worker.Collectives.SharedMemory;

/// <summary>
/// The blob that rank 0 hands to the others: magic, version, sizes, and 128 random bits that name the segment's file.
/// It is data from another process, so <see cref="Decode"/> checks every field and no path can come out of it.
/// </summary>
/// <param name="Layout">Sizes of the segment; <c>Size</c> 1: no segment exists.</param>
/// <param name="Id">32 lower-case hexadecimal digits.</param>
internal sealed record SharedMemoryBootstrap(SharedMemoryLayout Layout, string Id)
{
    internal const ulong Magic = 0x314D_4853_5054; // "TPSHM1" in memory order
    internal const int Version = 1;
    private const int IdCharacters = 32;
    private const int EncodedBytes = 24 + IdCharacters;
    private static readonly SearchValues<byte> s_idCharacters = SearchValues.Create("0123456789abcdef"u8);

    /// <summary>Makes the blob.</summary>
    public byte[] Encode()
    {
        var blob = new byte[EncodedBytes];
        BinaryPrimitives.WriteUInt64LittleEndian(blob, Magic);
        BinaryPrimitives.WriteInt32LittleEndian(blob.AsSpan(8), Version);
        BinaryPrimitives.WriteInt32LittleEndian(blob.AsSpan(12), Layout.Size);
        BinaryPrimitives.WriteInt32LittleEndian(blob.AsSpan(16), Layout.SlotBytes);
        BinaryPrimitives.WriteInt32LittleEndian(blob.AsSpan(20), Layout.RingBytes);
        Encoding.ASCII.GetBytes(Id, blob.AsSpan(24));
        return blob;
    }

    /// <summary>
    /// Reads a blob; throws <see cref="CollectiveException"/> where it is not one of this version for this group.
    /// </summary>
    public static SharedMemoryBootstrap Decode(ReadOnlySpan<byte> blob, int rank, int size)
    {
        if (blob.Length != EncodedBytes || BinaryPrimitives.ReadUInt64LittleEndian(blob) != Magic)
        {
            throw Invalid(rank, $"it is not one ({blob.Length} bytes)");
        }

        var version = BinaryPrimitives.ReadInt32LittleEndian(blob[8..]);
        if (version != Version)
        {
            throw Invalid(
                rank, $"it has version {version}, this worker speaks {Version}; run the same build everywhere");
        }

        var layout = new SharedMemoryLayout(
            BinaryPrimitives.ReadInt32LittleEndian(blob[12..]),
            BinaryPrimitives.ReadInt32LittleEndian(blob[16..]),
            BinaryPrimitives.ReadInt32LittleEndian(blob[20..]));
        if (layout.Size != size)
        {
            throw Invalid(rank, $"it is for {layout.Size} ranks, this group has {size}");
        }

        if (size > 1 && layout.Problem() is { } problem)
        {
            throw Invalid(rank, $"it names {problem}");
        }

        var id = blob[24..];
        if (id.ContainsAnyExcept(s_idCharacters))
        {
            throw Invalid(rank, "its segment name is not 32 hexadecimal digits");
        }

        return new SharedMemoryBootstrap(layout, Encoding.ASCII.GetString(id));
    }

    private static CollectiveException Invalid(int rank, string what) =>
        new($"Rank {rank} cannot use the shared-memory bootstrap blob it was given: {what}.");
}
