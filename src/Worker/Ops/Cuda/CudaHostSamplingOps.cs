using TensorParallel.Protocol.Parallel;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops.Cpu;

namespace TensorParallel.Worker.Ops.Cuda;

/// <summary>
/// Sampling for tensors on a GPU, computed by the CPU: what an operation reads is copied to the host, what it writes is copied back.
/// Only to tell whether a fault lies in the kernels of <see cref="CudaSamplingOps"/>: TP_CUDA_SAMPLING=host chooses it. It draws the same
/// tokens, slowly, and no step that samples can be captured. Used by one thread; the device stays the caller's.
/// </summary>
internal sealed class CudaHostSamplingOps(CudaDevice device) : ISamplingOps, IDisposable
{
    private readonly CpuSamplingOps _cpu = new();
    private readonly CpuDevice _host = new("cpu:sampling", threads: 1);

    // Host memory by the place of an argument, kept for the next call.
    private readonly List<DeviceBuffer?> _memory = [];
    private int _places;

    public bool IsRecordable => false;

    public void CountTokens(Tensor counts, Tensor ids, int firstToken, bool generated)
    {
        Begin();
        var target = Read(counts);
        _cpu.CountTokens(target, Read(ids), firstToken, generated);
        Write(target, counts);
    }

    public void Summarise(Tensor logits, int firstToken, SamplingRows rows, SummaryLayout layout, Tensor summary)
    {
        Begin();
        var target = Room(summary);
        _cpu.Summarise(Read(logits), firstToken, Read(rows, withCounts: true), layout, target);
        Write(target, summary);
    }

    public void Choose(
        Tensor summaries, IReadOnlyList<IndexRange> parts, SamplingRows rows, SummaryLayout layout, Tensor outcomes)
    {
        Begin();
        var target = Room(outcomes);
        _cpu.Choose(Read(summaries), parts, Read(rows, withCounts: false), layout, target);
        Write(target, outcomes);
    }

    public void Adjust(Tensor logits, int firstToken, SamplingRows rows, int row, Tensor output)
    {
        Begin();
        var target = Room(output);
        _cpu.Adjust(Read(logits), firstToken, Read(rows, withCounts: true), row, target);
        Write(target, output);
    }

    public void ChooseFromAll(Tensor all, SamplingRows rows, int row, Tensor outcomes)
    {
        Begin();
        var target = Read(outcomes);
        _cpu.ChooseFromAll(Read(all), Read(rows, withCounts: false), row, target);
        Write(target, outcomes);
    }

    public void PickLogits(Tensor logits, int firstToken, Tensor tokens, Tensor output)
    {
        Begin();
        var target = Room(output);
        _cpu.PickLogits(Read(logits), firstToken, Read(tokens), target);
        Write(target, output);
    }

    public void Commit(Tensor tokens, int firstToken, SamplingRows rows, Tensor lastTokens)
    {
        Begin();
        var last = Read(lastTokens);
        var hostRows = Read(rows, withCounts: true);
        _cpu.Commit(Read(tokens), firstToken, hostRows, last);
        Write(last, lastTokens);
        Write(hostRows.Counts, rows.Counts);
    }

    /// <summary>Returns the host memory.</summary>
    public void Dispose() => _host.Dispose();

    private void Begin() => _places = 0;

    private SamplingRows Read(SamplingRows rows, bool withCounts)
    {
        // Slots are all that says whose counts are needed, and they are on the device.
        var counts = withCounts ? Read(rows.Counts) : rows.Counts;
        return new SamplingRows(rows.Count, Read(rows.Slots), Read(rows.Positions), Read(rows.Settings), counts);
    }

    /// <summary>Host memory of the tensor's shape, without gaps between the rows; valid until the next operation.</summary>
    private Tensor Room(Tensor tensor)
    {
        var place = _places++;
        if (place == _memory.Count)
        {
            _memory.Add(null);
        }

        var bytes = (long)tensor.Rows * RowBytes(tensor);
        if (_memory[place] is not { } memory || memory.Bytes < bytes)
        {
            _memory[place]?.Dispose();
            _memory[place] = memory = _host.Allocate(Math.Max(64, bytes), MemoryPurpose.Scratch);
        }

        return tensor with { Buffer = memory, OffsetBytes = 0, RowStride = tensor.Columns };
    }

    private Tensor Read(Tensor tensor)
    {
        var target = Room(tensor);
        foreach (var (start, rows) in Runs(tensor))
        {
            device.CopyToHost(tensor.Buffer, tensor.RowsAt(start, rows).OffsetBytes, Bytes(target.RowsAt(start, rows)));
        }

        return target;
    }

    private void Write(Tensor source, Tensor target)
    {
        foreach (var (start, rows) in Runs(target))
        {
            device.CopyToDevice(Bytes(source.RowsAt(start, rows)), target.Buffer, target.RowsAt(start, rows).OffsetBytes);
        }
    }

    // Rows that one copy takes: all of them where there are no gaps.
    private static IEnumerable<(int Start, int Rows)> Runs(Tensor tensor)
    {
        var run = tensor.RowStride == tensor.Columns ? Math.Max(1, tensor.Rows) : 1;
        for (var start = 0; start < tensor.Rows; start += run)
        {
            yield return (start, run);
        }
    }

    private static unsafe Span<byte> Bytes(Tensor host) =>
        new((void*)host.Address, checked((int)(host.Rows * RowBytes(host))));

    private static long RowBytes(Tensor tensor) =>
        (long)tensor.Columns * Protocol.Checkpoints.DTypes.SizeInBytes(tensor.DType);
}
