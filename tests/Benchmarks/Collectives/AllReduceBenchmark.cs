using System.Diagnostics;
using System.Globalization;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Collectives.SharedMemory;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Benchmarks.Collectives;

/// <summary>
/// Microseconds of one all-reduce in shared memory, the ranks being processes: <c>allreduce [--ranks N] [--bytes
/// B,B,…]</c>. Every size runs in batches; the line shows the best and the median batch. The other ranks are this
/// program with <c>--peer RANK</c>, the bootstrap blob on their standard input.
/// </summary>
internal static class AllReduceBenchmark
{
    private const int Batches = 41;
    private static readonly TimeSpan s_timeout = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan s_batch = TimeSpan.FromMilliseconds(20);

    /// <summary>Runs it; returns the exit code.</summary>
    public static int Run(string[] args)
    {
        var ranks = int.Parse(Option(args, "--ranks") ?? "2", CultureInfo.InvariantCulture);
        var sizes = (Option(args, "--bytes") ?? "8192,65536,1048576").Split(',')
            .Select(b => int.Parse(b, CultureInfo.InvariantCulture)).ToArray();
        if (Option(args, "--peer") is { } peer)
        {
            Measure(
                new SharedMemoryBackend(),
                Convert.FromBase64String(Console.ReadLine() ?? string.Empty),
                int.Parse(peer, CultureInfo.InvariantCulture),
                ranks,
                sizes);
            return 0;
        }

        using var backend = new SharedMemoryBackend();
        var blob = backend.CreateBootstrap(ranks, sizes.Max());
        var peers = Enumerable.Range(1, ranks - 1).Select(rank => StartPeer(rank, args, blob)).ToArray();
        Console.WriteLine($"all-reduce, {ranks} processes on {Environment.ProcessorCount} cores");
        Measure(backend, blob, 0, ranks, sizes);
        Array.ForEach(peers, p => p.WaitForExit());
        return peers.Max(p => p.ExitCode);
    }

    private static void Measure(SharedMemoryBackend backend, byte[] blob, int rank, int ranks, int[] sizes)
    {
        using IDevice device = new CpuDevice("cpu:0", 1);
        using var collective = backend.Join(blob, rank, ranks, device, s_timeout);
        var rounds = device.AllocateTensor(DType.F32, 1, 1, MemoryPurpose.Workspace);
        foreach (var bytes in sizes)
        {
            var x = device.AllocateTensor(DType.F32, 1, bytes / sizeof(float), MemoryPurpose.Workspace);
            var microseconds = new List<double>();
            var count = 1;
            for (var batch = 0; batch < Batches;)
            {
                collective.Barrier();
                var start = Stopwatch.GetTimestamp();
                for (var i = 0; i < count; i++)
                {
                    collective.AllReduceSum(x);
                }

                var elapsed = Stopwatch.GetElapsedTime(start);
                microseconds.Add(elapsed.TotalMicroseconds / count);

                // Rank 0 says how many rounds fill a batch; the others' word is 0, so the sum is its word.
                var longer = rank == 0 && elapsed < s_batch ? 2f * count : rank == 0 ? count : 0;
                device.CopyToDevice(BitConverter.GetBytes(longer), rounds.Buffer, 0);
                collective.AllReduceSum(rounds);
                var next = new byte[sizeof(float)];
                device.CopyToHost(rounds.Buffer, 0, next);
                batch = BitConverter.ToSingle(next) == count ? batch + 1 : 0;
                count = (int)BitConverter.ToSingle(next);
            }

            Report(rank, bytes, [.. microseconds.TakeLast(Batches).Order()], count);
        }
    }

    private static void Report(int rank, int bytes, double[] sorted, int count)
    {
        if (rank == 0)
        {
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{bytes,9} bytes: best {sorted[0],8:0.00} us, median {sorted[sorted.Length / 2],8:0.00} us  "
                + $"({Batches} x {count} calls)"));
        }
    }

    private static Process StartPeer(int rank, string[] args, byte[] blob)
    {
        var program = Environment.ProcessPath!;
        string[] assembly =
            Path.GetFileNameWithoutExtension(program) == "dotnet" ? [typeof(AllReduceBenchmark).Assembly.Location] : [];
        var start = new ProcessStartInfo(
            program, [.. assembly, "allreduce", .. args, "--peer", rank.ToString(CultureInfo.InvariantCulture)])
        {
            RedirectStandardInput = true,
        };
        var peer = Process.Start(start)!;
        peer.StandardInput.WriteLine(Convert.ToBase64String(blob));
        return peer;
    }

    private static string? Option(string[] args, string name) =>
        args.SkipWhile(a => a != name).Skip(1).FirstOrDefault();
}
