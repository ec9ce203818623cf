using TensorParallel.Worker.Collectives;
using TensorParallel.Worker.Collectives.Nccl;
using TensorParallel.Worker.Native;
using Xunit;

namespace TensorParallel.Worker.Tests.Collectives.Nccl;

public sealed unsafe class NcclBootstrapTests
{
    private const int IdBytes = 128;

    [Fact]
    public void A_group_of_one_needs_no_nccl()
    {
        var blob = NcclBootstrap.Create(1);
        Assert.Equal(8, blob.Length);
        NcclBootstrap.Read(blob, 0, 1);
    }

    [Fact]
    public void The_id_comes_back()
    {
        var id = NcclBootstrap.Read(Blob(4), rank: 2, size: 4);
        Assert.Equal([.. Enumerable.Range(1, IdBytes).Select(i => (byte)i)], new ReadOnlySpan<byte>(&id, IdBytes).ToArray());
    }

    [Fact]
    public void A_blob_that_is_not_for_this_group_is_refused()
    {
        var spoilt = Blob(4);
        spoilt[0] ^= 1;
        foreach (var (blob, size) in ((byte[], int)[])[
            ([], 2), (Blob(4), 2), (Blob(4)[..^1], 4), ([.. Blob(4), 0], 4), (spoilt, 4), (NcclBootstrap.Create(1), 4), (Blob(4), 1)])
        {
            var error = Assert.Throws<CollectiveException>(() => NcclBootstrap.Read(blob, 1, size));
            Assert.Contains($"Rank 1 was given {blob.Length} bytes", error.Message, StringComparison.Ordinal);
            Assert.Contains($"for {size} ranks", error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Without_nccl_a_group_of_several_is_refused_with_the_reason()
    {
        Assert.SkipWhen(Worker.Native.Nccl.UnavailableReason is null, "This machine has NCCL.");
        var error = Assert.Throws<CollectiveException>(() => NcclBootstrap.Create(2));
        Assert.StartsWith("NCCL was not found: ", error.Message, StringComparison.Ordinal);
        Assert.Contains(NativeLibraries.OverrideVariable, error.Message, StringComparison.Ordinal);
    }

    // "NCCL", the number of ranks, and an id of 1, 2, 3 and so on.
    private static byte[] Blob(byte ranks) => [.. "NCCL"u8, ranks, 0, 0, 0, .. Enumerable.Range(1, IdBytes).Select(i => (byte)i)];
}
