using System.Runtime.InteropServices;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops.Cuda;
using Xunit;

namespace TensorParallel.Worker.Gpu.Tests.Devices;

public sealed class CudaDeviceTests : IDisposable
{
    private readonly CudaDevice _device = Gpu.Open();

    public void Dispose() => _device.Dispose();

    [Fact]
    public void Copies_come_back_at_any_size_and_offset()
    {
        foreach (var bytes in (int[])[1, 63, 4096, (4 << 20) - 1, (4 << 20) + 1, 37 << 20])
        {
            var source = new byte[bytes];
            Random.Shared.NextBytes(source);
            using var buffer = _device.Allocate(bytes + 100, MemoryPurpose.Staging);
            _device.CopyToDevice(source, buffer, 33);
            var back = new byte[bytes + 100];
            _device.CopyToHost(buffer, 0, back);
            Assert.True(source.AsSpan().SequenceEqual(back.AsSpan(33, bytes)), $"{bytes} bytes came back changed");
            Assert.True(back.AsSpan(0, 33).IndexOfAnyExcept((byte)0xFF) < 0, "bytes before the copy were changed");
            Assert.True(back.AsSpan(33 + bytes).IndexOfAnyExcept((byte)0xFF) < 0, "bytes after the copy were changed");
        }
    }

    [Fact]
    public void Several_threads_copy_at_once()
    {
        const int Piece = 9 << 20;
        using var buffer = _device.Allocate(8L * Piece, MemoryPurpose.Weights);
        var sources = Enumerable.Range(0, 8).Select(_ => new byte[Piece]).ToArray();
        Parallel.For(0, sources.Length, i =>
        {
            Random.Shared.NextBytes(sources[i]);
            _device.CopyToDevice(sources[i], buffer, (long)i * Piece);
        });
        var back = new byte[Piece];
        for (var i = 0; i < sources.Length; i++)
        {
            _device.CopyToHost(buffer, (long)i * Piece, back);
            Assert.True(sources[i].AsSpan().SequenceEqual(back), $"piece {i} came back changed");
        }
    }

    [Fact]
    public void Memory_is_counted_by_purpose()
    {
        var first = _device.Allocate(1000, MemoryPurpose.KvCache);
        _device.Allocate(500, MemoryPurpose.KvCache).Dispose();
        Assert.Contains(new MemoryUse(MemoryPurpose.KvCache, 1000, 1500), _device.MemoryUse());
        first.Dispose();
        Assert.Contains(new MemoryUse(MemoryPurpose.KvCache, 0, 1500), _device.MemoryUse());
    }

    [Fact]
    public void Too_much_memory_is_refused_with_both_numbers()
    {
        var wanted = _device.FreeBytes + (1L << 40);
        var error = Assert.Throws<DeviceMemoryException>(() => _device.Allocate(wanted, MemoryPurpose.Weights));
        Assert.Contains($"{wanted:N0}", error.Message, StringComparison.Ordinal);
        Assert.Contains("free", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_graph_replays_what_was_captured()
    {
        using var ops = new CudaOps(_device);
        var target = ((IDevice)_device).AllocateTensor(DType.F32, 3, 40, MemoryPurpose.Workspace);
        var source = ((IDevice)_device).AllocateTensor(DType.F32, 3, 40, MemoryPurpose.Workspace);
        _device.Clear(target.Buffer, 0, target.Buffer.Bytes);
        var ones = new float[120];
        Array.Fill(ones, 1f);
        _device.CopyToDevice(MemoryMarshal.AsBytes<float>(ones), source.Buffer, 0);
        ops.Add(target, source);
        using (var graph = CudaGraph.Capture(_device, () =>
        {
            ops.Add(target, source);
            ops.Add(target, source);
        }))
        {
            for (var i = 0; i < 5; i++)
            {
                graph.Replay();
            }

            _device.Synchronize();
        }

        var sums = new float[120];
        _device.CopyToHost(target.Buffer, 0, MemoryMarshal.AsBytes(sums.AsSpan()));
        Assert.All(sums, s => Assert.Equal(11f, s));
    }

    [Fact]
    public void Late_copies_keep_what_was_there_when_they_were_asked_for()
    {
        using var buffer = _device.Allocate(CudaReadback.MostBytes, MemoryPurpose.Workspace);
        var copies = new List<IPendingCopy>();
        for (var round = 0; round < 30; round++)
        {
            var values = new byte[CudaReadback.MostBytes];
            Array.Fill(values, (byte)round);
            _device.CopyToDevice(values, buffer, 0);
            copies.Add(_device.CopyToHostLater(buffer, 0, round % 2 == 0 ? values.Length : 5));
        }

        var end = _device.CopyToHostLater(buffer, 0, 0);
        end.Wait();
        Assert.True(end.IsDone);
        Assert.True(end.Read().IsEmpty);
        for (var round = 0; round < 30; round++)
        {
            var bytes = copies[round].Read();
            Assert.Equal(round % 2 == 0 ? CudaReadback.MostBytes : 5, bytes.Length);
            Assert.True(bytes.IndexOfAnyExcept((byte)round) < 0, $"copy {round} has other bytes");
        }
    }

    [Fact]
    public void Repeated_work_is_issued_once_then_replayed_and_copies_in_it_are_refused()
    {
        using var ops = new CudaOps(_device);
        var target = ((IDevice)_device).AllocateTensor(DType.F32, 2, 8, MemoryPurpose.Workspace);
        var source = ((IDevice)_device).AllocateTensor(DType.F32, 2, 8, MemoryPurpose.Workspace);
        var ones = new float[16];
        Array.Fill(ones, 1f);
        _device.Clear(target.Buffer, 0, target.Buffer.Bytes);
        _device.CopyToDevice(MemoryMarshal.AsBytes<float>(ones), source.Buffer, 0);
        _device.RecordsGraphs = true;
        using (var work = _device.RepeatWork())
        {
            var issued = 0;
            for (var i = 0; i < 7; i++)
            {
                Assert.Equal(i > 0, work.Run(("add", 2), () =>
                {
                    issued++;
                    ops.Add(target, source);
                }));
            }

            Assert.Equal(2, issued);

            // More keys than graphs are kept: the oldest go, the newest still work.
            for (var i = 0; i < 300; i++)
            {
                work.Run(("many", i % 100), () => ops.Add(target, source));
            }

            var sums = new float[16];
            _device.CopyToHost(target.Buffer, 0, MemoryMarshal.AsBytes(sums.AsSpan()));
            Assert.All(sums, s => Assert.Equal(307f, s));
            work.Run("copy", () => _device.CopyToHost(target.Buffer, 0, MemoryMarshal.AsBytes(sums.AsSpan())));
            var error = Assert.Throws<Native.NativeException>(
                () => work.Run("copy", () => _device.CopyToHost(target.Buffer, 0, MemoryMarshal.AsBytes(sums.AsSpan()))));
            Assert.Contains("cannot be part of a graph", error.Message, StringComparison.Ordinal);
            Assert.Contains("TP_CUDA_GRAPHS=0", error.Message, StringComparison.Ordinal);
            Assert.False(_device.IsCapturing);
        }

        _device.Synchronize();
    }
}
