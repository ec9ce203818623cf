using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Loading.Shards;

/// <summary>A file as the place where weights go: an address is a byte of the file. Owns nothing.</summary>
internal sealed class ShardFileBuffer(long bytes) : DeviceBuffer(bytes, MemoryPurpose.Staging)
{
    public override nint Address => 0;

    public override void Dispose()
    {
    }
}
