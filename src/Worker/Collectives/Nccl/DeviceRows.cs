using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;
using static TensorParallel.Worker.Native.CudaDriver;

namespace TensorParallel.Worker.Collectives.Nccl;

/// <summary>
/// The rows of a tensor on a GPU, as bytes at a pitch. NCCL moves runs of bytes only, so rows with gaps between them are packed
/// first. Example: a [2, 3] F32 view with row stride 8 has rows of 12 bytes at a pitch of 32.
/// </summary>
/// <param name="Address">Of the first row.</param>
/// <param name="Rows">Number of rows.</param>
/// <param name="RowBytes">Bytes of a row.</param>
/// <param name="PitchBytes">Bytes from one row to the next.</param>
internal readonly record struct DeviceRows(ulong Address, int Rows, long RowBytes, long PitchBytes)
{
    /// <summary>Bytes without the gaps.</summary>
    public long Bytes => Rows * RowBytes;

    /// <summary>Whether the rows are one run of bytes.</summary>
    public bool IsDense => Rows <= 1 || PitchBytes == RowBytes;

    /// <summary>The rows of a tensor whose bounds were checked.</summary>
    public static DeviceRows Of(Tensor tensor)
    {
        var element = tensor.DType.SizeInBytes();
        return new DeviceRows(
            (ulong)tensor.Address, tensor.Rows, (long)tensor.Columns * element, (long)tensor.RowStride * element);
    }

    /// <summary>Rows without gaps at an address.</summary>
    public static DeviceRows Dense(ulong address, int rows, long rowBytes) => new(address, rows, rowBytes, rowBytes);

    /// <summary>Copies to rows of the same shape, on the device's stream.</summary>
    public unsafe void CopyTo(DeviceRows target, CudaDevice device)
    {
        if (Bytes == 0)
        {
            return;
        }

        if (IsDense && target.IsDense)
        {
            Check(cuMemcpyDtoDAsync(target.Address, Address, (nuint)Bytes, device.Stream));
            return;
        }

        var copy = new CUDA_MEMCPY2D
        {
            srcMemoryType = CU_MEMORYTYPE_DEVICE,
            srcDevice = Address,
            srcPitch = (nuint)PitchBytes,
            dstMemoryType = CU_MEMORYTYPE_DEVICE,
            dstDevice = target.Address,
            dstPitch = (nuint)target.PitchBytes,
            WidthInBytes = (nuint)RowBytes,
            Height = (nuint)Rows,
        };
        Check(cuMemcpy2DAsync(&copy, device.Stream));
    }
}
