using System.Globalization;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Collectives.PeerMemory;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Native;
using TensorParallel.Worker.Ops.Cuda;

namespace TensorParallel.Benchmarks.Gpu;

/// <summary>
/// <c>gpu-allreduce [GPUs]</c>: microseconds of a sum between GPUs by size and way, alone and with residual and norm: 100 calls in a
/// graph, median of nine replays on rank 0. Ranks are threads with a GPU each.
/// </summary>
internal static class GpuAllReduceCommand
{
    private const int Calls = 100;
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
            Sums(new GpuBench(device, ops), collective);
            collective.Choice = measured;
            Norms(new GpuBench(device, ops), collective);
        }
    }

    private static void Sums(GpuBench bench, PeerMemoryCollective collective)
    {
        Say(collective.Rank, "bf16 sum          nccl (queued)  one shot  two shots   (us)");
        foreach (var kilobytes in s_kilobytes)
        {
            var x = Zeros(bench.Device, 1, kilobytes * 512);
            var nccl = By(new PeerChoice(0, 0, 1), Queued);
            var oneShot = By(new PeerChoice(long.MaxValue, 0, 1), Captured);
            var twoShots = By(new PeerChoice(0, long.MaxValue, 1), Captured);
            Say(collective.Rank, $"{kilobytes,5} KiB         {nccl,13:F2} {oneShot,9:F2} {twoShots,10:F2}");
            x.Buffer.Dispose();

            double By(PeerChoice choice, Func<Action, double> time)
            {
                collective.Choice = choice;
                return time(() => collective.AllReduceSum(x));
            }
        }

        double Captured(Action call) => bench.Microseconds(Calls, _ => call());

        double Queued(Action call)
        {
            call();
            using var start = new CudaEvent(bench.Device);
            using var end = new CudaEvent(bench.Device);
            start.Record();
            for (var i = 0; i < Calls; i++)
            {
                call();
            }

            end.Record();
            return end.MicrosecondsSince(start) / Calls;
        }
    }

    private static void Norms(GpuBench bench, PeerMemoryCollective collective)
    {
        var measured = collective.Choice;
        Say(collective.Rank, "sum + residual + norm, one shot by blocks a row:  1       2       4       8 | two shots | as chosen | sum, then norm   (us)");
        foreach (var (rows, columns) in s_rows)
        {
            var tensors = Enumerable.Range(0, 3).Select(_ => Zeros(bench.Device, rows, columns)).ToArray();
            var (delta, residual, normed) = (tensors[0], tensors[1], tensors[2]);
            var weight = Zeros(bench.Device, 1, columns);
            var parts = new[] { 1, 2, 4, 8 }.Select(n => Fused(PeerChoice.AlwaysOneShot with { RowParts = n })).ToArray();
            var twoShots = Fused(PeerChoice.AlwaysTwoShot with { RowParts = 4 });
            var chosen = Fused(measured);
            var apart = bench.Microseconds(Calls, _ =>
            {
                collective.AllReduceSum(delta);
                bench.Ops.AddRmsNorm(residual, delta, weight, 1e-5f, normed);
            });
            Say(collective.Rank, $"{rows,3} x {columns,-5} {rows * columns / 512,5} KiB                  {string.Join(' ', parts.Select(p => $"{p,7:F2}"))}   {twoShots,9:F2}   {chosen,9:F2}   {apart,9:F2}");
            Array.ForEach([.. tensors, weight], t => t.Buffer.Dispose());

            double Fused(PeerChoice choice)
            {
                collective.Choice = choice;
                return bench.Microseconds(Calls, _ =>
                {
                    if (!collective.TryAllReduceAddRmsNorm(delta, residual, weight, 1e-5f, normed))
                    {
                        collective.AllReduceSum(delta);
                        bench.Ops.AddRmsNorm(residual, delta, weight, 1e-5f, normed);
                    }
                });
            }
        }
    }

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
