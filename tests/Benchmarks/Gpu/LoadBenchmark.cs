using System.Diagnostics;
using Microsoft.Win32.SafeHandles;
using TensorParallel.Coordinator.Planning;
using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Loading;
using TensorParallel.Worker.Quantization;

namespace TensorParallel.Benchmarks.Gpu;

/// <summary>
/// Loading the 8B shape from memory-backed files to one GPU: whole, and as rank 0 of 2 and of 4, by threads and slot size; before it
/// what the parts reach alone, reading by threads and copying to the device.
/// </summary>
internal static class LoadBenchmark
{
    private const string MemoryFolder = "/dev/shm";

    public static void Run(GpuBench bench)
    {
        var root = Directory.Exists(MemoryFolder) ? MemoryFolder : Path.GetTempPath();
        var folder = Path.Combine(root, $"tensor-parallel-load-{Environment.ProcessId}");
        try
        {
            var clock = Stopwatch.StartNew();
            var layers = LoadCheckpoint.Write(folder);
            var bytes = Directory.GetFiles(folder).Sum(file => new FileInfo(file).Length);
            Console.WriteLine(
                $"{folder}: 8B shape, {layers} of 32 layers, {bytes / 1e9:F2} GB, made in {clock.Elapsed.TotalSeconds:F1} s; " +
                $"{Environment.ProcessorCount} processors");
            Floors(bench.Device, folder);
            foreach (var ranks in (int[])[1, 2, 4])
            {
                Loads(bench.Device, folder, ranks);
            }
        }
        finally
        {
            if (Directory.Exists(folder))
            {
                Directory.Delete(folder, recursive: true);
            }
        }
    }

    private static int[] Threads() => [.. new[] { 1, 2, 4, 8, 16 }.Where(count => count <= Environment.ProcessorCount)];

    private static void Floors(CudaDevice device, string folder)
    {
        var file = Directory.GetFiles(folder, "*.safetensors").MaxBy(path => new FileInfo(path).Length)!;
        foreach (var threads in Threads())
        {
            Console.WriteLine($"pread by {threads,2} threads into 4 MiB each: {ReadRate(file, threads),6:F1} GB/s");
        }

        const int Slot = 4 << 20;
        using var target = device.Allocate(Slot, MemoryPurpose.Workspace);
        using var lane = device.OpenUploadLane(Slot);
        var tensor = new Tensor(target, 0, DType.BF16, 1, Slot / 2, Slot / 2);
        var clock = Stopwatch.StartNew();
        const int Copies = 1024;
        for (var i = 0; i < Copies; i++)
        {
            lane.NextSlot();
            lane.Copy(0, Slot, tensor);
        }

        lane.Finish();
        Console.WriteLine($"pinned host to device, 4 MiB at a time: {Copies * (double)Slot / clock.Elapsed.TotalSeconds / 1e9,6:F1} GB/s");
    }

    private static double ReadRate(string path, int threads)
    {
        using SafeFileHandle handle = File.OpenHandle(path);
        var length = RandomAccess.GetLength(handle);
        var next = 0L;
        var read = 0L;
        var clock = Stopwatch.StartNew();
        Thread[] all = [.. Enumerable.Range(0, threads).Select(_ => new Thread(() =>
        {
            var buffer = new byte[4 << 20];
            for (var at = Interlocked.Add(ref next, buffer.Length) - buffer.Length; at < length * 2;
                at = Interlocked.Add(ref next, buffer.Length) - buffer.Length)
            {
                Interlocked.Add(ref read, RandomAccess.Read(handle, buffer, at % length));
            }
        }))];
        Array.ForEach(all, thread => thread.Start());
        Array.ForEach(all, thread => thread.Join());
        return read / clock.Elapsed.TotalSeconds / 1e9;
    }

    private static void Loads(CudaDevice device, string folder, int ranks)
    {
        var checkpoint = Checkpoint.Open(folder);
        var spec = ArchitectureCatalog.Describe(checkpoint.Config);
        PlanDevice[] devices = [.. Enumerable.Range(0, ranks).Select(i => new PlanDevice($"cuda:{i}"))];
        var plan = Planner.Plan(new PlanRequest(spec, devices, DType.BF16));
        var tensors = ModelSpecTensors.Locate(spec, checkpoint);
        WeightTarget[] targets = [.. plan.Ranks[0].Tensors.Select(slice => Target(device, slice, tensors[slice.Name]))];
        try
        {
            foreach (var threads in Threads().Where(count => ranks == 1 || count >= 4))
            {
                Load(device, tensors, targets, ranks, threads, WeightLoader.DefaultChunkBytes);
            }

            foreach (var slot in (int[])[2 << 20, 8 << 20, 16 << 20])
            {
                Load(device, tensors, targets, ranks, Threads()[^1], slot);
            }
        }
        finally
        {
            foreach (var target in targets)
            {
                target.Destination.Buffer.Dispose();
            }
        }
    }

    private static void Load(
        CudaDevice device, IReadOnlyDictionary<string, TensorInfo> tensors, WeightTarget[] targets, int ranks, int threads, int slot)
    {
        var loader = new WeightLoader(tensors, device, rank: 0) { Threads = threads, ChunkBytes = slot };
        var report = loader.Load(targets);
        var seconds = report.Duration.TotalSeconds;
        Console.WriteLine(
            $"rank 0 of {ranks}, {threads,2} threads, slots of {slot >> 20,2} MiB: {report.OwnedBytes / seconds / 1e9,6:F1} GB/s " +
            $"({report.OwnedBytes / 1e9:F2} GB in {seconds:F2} s, {report.BytesRead / (double)report.OwnedBytes:F2} bytes read for one)");
    }

    private static WeightTarget Target(CudaDevice device, TensorSlice slice, TensorInfo source)
    {
        int[] shape = [.. source.Shape.Select(size => (int)size)];
        var held = slice.Ranges.Sum(range => range.Length);
        var (rows, columns) = (shape.Length, slice.Dim) switch
        {
            (1, null) => (1, shape[0]),
            (1, _) => (1, held),
            (_, null) => (shape[0], shape[1]),
            (_, 0) => (held, shape[1]),
            _ => (shape[0], held),
        };
        return new WeightTarget(slice, shape, ((IDevice)device).AllocateTensor(DType.BF16, rows, columns, MemoryPurpose.Weights));
    }
}
