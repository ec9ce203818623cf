using System.Runtime.InteropServices;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Ops.Cuda;

/// <summary>Measuring on an NVIDIA GPU: launches on the device's stream. Owns nothing; the device stays the caller's.</summary>
internal sealed class CudaMeasuringOps(CudaDevice device) : IMeasuringOps
{
    private const int Threads = 256;
    private const int SumThreads = 512;

    // Largest grid in y.
    private const int MaxGridRows = 65535;

    // Blocks in x beyond this would only wait for their turn.
    private const int MaxColumnBlocks = 64;

    public KernelLoading KernelLoading => new(device.Modules.Loaded, device.Modules.Compiled, device.Modules.LoadTime);

    public void FillRandom(Tensor target, RandomFill fill)
    {
        CudaOperand.CheckFloat(device, target, target.Rows, target.Columns);
        if (target.Rows == 0 || target.Columns == 0)
        {
            return;
        }

        var arguments = new FillArguments
        {
            Target = target.Address,
            TargetStride = target.RowStride,
            FirstRow = fill.FirstRow,
            FirstColumn = fill.FirstColumn,
            FullColumns = fill.FullColumns,
            Rows = target.Rows,
            Columns = target.Columns,
            KeyLow = fill.KeyLow,
            KeyHigh = fill.KeyHigh,
            Mean = fill.Mean,
            Unit = fill.Unit,
        };

        // One block of the generator has four elements; a row that starts inside one has a part of one more.
        var columnBlocks = Math.Min((target.Columns / 4 / Threads) + 1, MaxColumnBlocks);
        device.Launch(
            device.Modules.Get(CudaKernels.RandomFill(target.DType)),
            new CudaGrid(columnBlocks, Math.Min(target.Rows, MaxGridRows), 1, Threads),
            arguments);
    }

    public void SumWords(Tensor words, Tensor sum)
    {
        CudaOperand.Check(device, words, DType.I32, 1, words.Columns);
        CudaOperand.Check(device, sum, DType.I32, 1, 1);
        if (words.Address % 16 != 0 || words.Columns % 4 != 0)
        {
            throw new ArgumentException("The words are read by fours: give a multiple of 4 at a multiple of 16 bytes.", nameof(words));
        }

        var arguments = new SumArguments { Source = words.Address, Sum = sum.Address, Quads = words.Columns / 4 };
        device.Launch(
            device.Modules.Get(CudaKernels.ReadSum()), new CudaGrid(device.Multiprocessors * 4, 1, 1, SumThreads), arguments);
    }

    public IDeviceMarks CreateMarks() => new CudaMarks(device);

    /// <summary>random_fill.cu.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct FillArguments
    {
        internal nint Target;
        internal long TargetStride;
        internal long FirstRow;
        internal long FirstColumn;
        internal long FullColumns;
        internal int Rows;
        internal int Columns;
        internal uint KeyLow;
        internal uint KeyHigh;
        internal float Mean;
        internal float Unit;
    }

    /// <summary>read_sum.cu.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct SumArguments
    {
        internal nint Source;
        internal nint Sum;
        internal long Quads;
    }
}
