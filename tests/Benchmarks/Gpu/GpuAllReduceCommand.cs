using System.Globalization;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Collectives.PeerMemory;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Native;
using TensorParallel.Worker.Ops.Cuda;

namespace TensorParallel.Benchmarks.Gpu;

/// <summary>
/// <c>gpu-allreduce [GPUs]</c>: microseconds of a sum between GPUs by size and way, alone and with residual and norm: 100 calls in a
/// graph, least, median and most of 25 replays on rank 0. Ranks are threads with a GPU each.
/// </summary>
internal static class GpuAllReduceCommand
{
    private const int Calls = 100;
    private const int LargeCalls = 20;
    private static readonly int[] s_manyRows = [256, 512, 1024, 2048, 4096, 8192];
    private static readonly TimeSpan s_timeout = TimeSpan.FromSeconds(20);
    private static readonly int[] s_kilobytes = [8, 16, 32, 64, 128, 256, 512, 1024, 2048];
    private static readonly (int Rows, int Columns)[] s_rows =
        [(1, 4096), (1, 8192), (2, 4096), (4, 4096), (8, 4096), (16, 4096), (16, 8192), (32, 4096), (64, 4096)];

    public static int Run(IReadOnlyList<string> arguments)
    {
        if ((CudaDriver.UnavailableReason ?? Nccl.UnavailableReason) is { } reason)
        {
            Console.Error.WriteLine(reason);
            return 1;
        }

        var size = arguments.Count > 0 ? int.Parse(arguments[0], CultureInfo.InvariantCulture) : 2;
        var blob = new PeerMemoryBackend().CreateBootstrap(size, 0);
        Exception? failure = null;
        var ranks = Enumerable.Range(0, size).Select(rank => new Thread(() =>
        {
            try
            {
                RunRank(blob, rank, size);
            }
            catch (Exception e)
            {
                failure = e;
            }
        })).ToArray();
        Array.ForEach(ranks, r => r.Start());
        Array.ForEach(ranks, r => r.Join());
        if (failure is not null)
        {
            Console.Error.WriteLine(failure);
        }

        return failure is null ? 0 : 1;
    }

    private static void RunRank(byte[] blob, int rank, int size)
    {
        using var device = new CudaDevice(rank);
        using var ops = new CudaOps(device);
        var clock = System.Diagnostics.Stopwatch.StartNew();
        using var joined = new PeerMemoryBackend().Join(blob, rank, size, device, s_timeout);
        Say(rank, $"{device.Model}, {size} ranks by {joined.Name}, joined in {clock.Elapsed.TotalSeconds:F2} s");
        foreach (var timing in joined.Timings)
        {
            Say(rank, $"at start: {timing.Operation,-18} {timing.Path,-14} {timing.Bytes / 1024,5} KiB {timing.Microseconds,8:F2} us");
        }

        if (joined is PeerMemoryCollective collective)
        {
            var measured = collective.Choice;
            Sums(device, collective);
            collective.Choice = measured;
            Norms(device, ops, collective);
            if (joined.Timings.Any(t => t.Path == PeerCalibration.Divided))
            {
                Large(device, ops, collective); // not where a check of it failed
            }
        }
    }

    private static void Sums(CudaDevice device, PeerMemoryCollective collective)
    {
        var bench = new GroupBench(device, collective);
        Say(collective.Rank, "bf16 sum, us least/median/most of 25 replays:  nccl                    one shot                two shots");
        foreach (var kilobytes in s_kilobytes)
        {
            var x = Zeros(device, 1, kilobytes * 512);
            var times = ((PeerChoice[])[PeerChoice.Never, PeerChoice.AlwaysOneShot, PeerChoice.AlwaysTwoShot]).Select(choice =>
            {
                collective.Choice = choice;
                return bench.Measure(Calls, () => collective.AllReduceSum(x));
            });
            Say(collective.Rank, $"{kilobytes,5} KiB                               {Columns(times)}");
            x.Buffer.Dispose();
        }

        Say(collective.Rank, $"latest peer {bench.LatestMicroseconds:F0} us");
    }

    private static void Norms(CudaDevice device, CudaOps ops, PeerMemoryCollective collective)
    {
        var measured = collective.Choice;
        var bench = new GroupBench(device, collective);
        Say(collective.Rank, "sum + residual + norm:      one shot, 1 block a row 2 (few rows)            4                       8                       two shots               as chosen               sum, then norm");
        foreach (var (rows, columns) in s_rows)
        {
            var tensors = Enumerable.Range(0, 3).Select(_ => Zeros(device, rows, columns)).ToArray();
            var (delta, residual, normed) = (tensors[0], tensors[1], tensors[2]);
            var weight = Zeros(device, 1, columns);
            PeerChoice[] choices =
            [
                .. new[] { 1, 2, 4, 8 }.Select(PeerChoice.AlwaysOneShot.WithParts), PeerChoice.AlwaysTwoShot.WithParts(4), measured,
            ];
            var times = choices.Select(choice =>
            {
                collective.Choice = choice;
                return bench.Measure(Calls, () =>
                {
                    if (!collective.TryAllReduceAddRmsNorm(delta, residual, weight, 1e-5f, normed))
                    {
                        Apart();
                    }
                });
            }).ToList();
            times.Add(bench.Measure(Calls, Apart));
            Say(collective.Rank, $"{rows,3} x {columns,-5} {rows * columns / 512,5} KiB         {Columns(times)}");
            Array.ForEach([.. tensors, weight], t => t.Buffer.Dispose());

            void Apart()
            {
                collective.AllReduceSum(delta);
                ops.AddRmsNorm(residual, delta, weight, 1e-5f, normed);
            }
        }

        Say(collective.Rank, $"latest peer {bench.LatestMicroseconds:F0} us");
        collective.Choice = measured;
    }

    private static void Large(CudaDevice device, CudaOps ops, PeerMemoryCollective collective)
    {
        var measured = collective.Choice;
        var bench = new GroupBench(device, collective);
        Say(collective.Rank, "many rows x 4096:           nccl                    nccl, then norm         rows divided, sum + residual + norm");
        foreach (var rows in s_manyRows)
        {
            var tensors = Enumerable.Range(0, 3).Select(_ => Zeros(device, rows, 4096)).ToArray();
            var (delta, residual, normed) = (tensors[0], tensors[1], tensors[2]);
            var weight = Zeros(device, 1, 4096);
            collective.Choice = PeerChoice.Never;
            var sum = bench.Measure(LargeCalls, () => collective.AllReduceSum(delta));
            var apart = bench.Measure(LargeCalls, () =>
            {
                collective.AllReduceSum(delta);
                ops.AddRmsNorm(residual, delta, weight, 1e-5f, normed);
            });
            collective.Choice = PeerChoice.AlwaysDivided;
            var divided = bench.Measure(LargeCalls, () =>
            {
                if (!collective.TryDividedAllReduceAddRmsNorm(delta, residual, weight, 1e-5f, normed))
                {
                    throw new InvalidOperationException($"{rows} rows were not divided.");
                }
            });
            Say(collective.Rank, $"{rows,5} rows {rows / 128,3} MiB             {Columns([sum, apart, divided])}");
            Array.ForEach([.. tensors, weight], t => t.Buffer.Dispose());
        }

        Say(collective.Rank, $"latest peer {bench.LatestMicroseconds:F0} us");
        collective.Choice = measured;
    }

    private static string Columns(IEnumerable<Spread> times) => string.Join(' ', times.Select(t => $"{t,-23}"));

    private static Tensor Zeros(CudaDevice device, int rows, int columns)
    {
        var tensor = ((IDevice)device).AllocateTensor(DType.BF16, rows, columns, MemoryPurpose.Workspace);
        device.Clear(tensor.Buffer, 0, tensor.Buffer.Bytes);
        return tensor;
    }

    private static void Say(int rank, string line)
    {
        if (rank == 0)
        {
            Console.WriteLine(line);
        }
    }
}
