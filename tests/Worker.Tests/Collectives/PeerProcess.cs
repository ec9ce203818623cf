using System.Diagnostics;
using System.Globalization;
using System.Runtime.CompilerServices;
using TensorParallel.Worker.Collectives.SharedMemory;

namespace TensorParallel.Worker.Tests.Collectives;

/// <summary>
/// A rank in a process of its own: this test program started again with a variable in its environment, which makes it
/// run one rank instead of tests. Rank 0 writes the bootstrap blob to its output; the test writes it to the others'
/// input.
/// </summary>
internal sealed class PeerProcess : IDisposable
{
    private const string Variable = "TENSOR_PARALLEL_TEST_PEER";
    private readonly Process _process;

    /// <summary>Starts a rank.</summary>
    /// <param name="rank">Its rank.</param>
    /// <param name="size">Ranks of the group.</param>
    /// <param name="calls">Calls of the <see cref="CollectiveScript"/> to make.</param>
    /// <param name="killAt">Calls after which it kills itself; −1: never.</param>
    /// <param name="seconds">The group's timeout.</param>
    public PeerProcess(int rank, int size, int calls, int killAt, int seconds)
    {
        var program = Environment.ProcessPath!;
        var start = new ProcessStartInfo(program)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            Environment = { [Variable] = string.Join(' ', [rank, size, calls, killAt, seconds]) },
        };
        if (Path.GetFileNameWithoutExtension(program) == "dotnet")
        {
            start.ArgumentList.Add(typeof(PeerProcess).Assembly.Location);
        }

        _process = Process.Start(start)!;
    }

    /// <summary>Exit code, once the process has ended.</summary>
    public int ExitCode
    {
        get
        {
            _process.WaitForExit();
            return _process.ExitCode;
        }
    }

    /// <summary>Next line that it writes; null at its end.</summary>
    public string? ReadLine() => _process.StandardOutput.ReadLine();

    /// <summary>Hands it the blob.</summary>
    public void WriteLine(string line) => _process.StandardInput.WriteLine(line);

    public void Dispose()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
        }

        _process.Dispose();
    }

    [ModuleInitializer]
    internal static void RunAsPeer()
    {
        if (Environment.GetEnvironmentVariable(Variable) is { } text)
        {
            var numbers = text.Split(' ').Select(n => int.Parse(n, CultureInfo.InvariantCulture)).ToArray();
            RunRank(numbers[0], numbers[1], numbers[2], numbers[3], TimeSpan.FromSeconds(numbers[4]));
            Environment.Exit(0);
        }
    }

    private static void RunRank(int rank, int size, int calls, int killAt, TimeSpan timeout)
    {
        try
        {
            using var backend = new SharedMemoryBackend();
            using var device = new HostDevice();
            if (rank == 0)
            {
                Console.WriteLine(Convert.ToBase64String(backend.CreateBootstrap(size, 40_000)));
            }

            var blob = Convert.FromBase64String(Console.ReadLine()!);
            using var collective = backend.Join(blob, rank, size, device, timeout);
            var script = new CollectiveScript(collective, new DeviceTensors(device), 7, 10_000);
            if (killAt >= 0)
            {
                script.Run(killAt);
                Process.GetCurrentProcess().Kill();
            }

            Console.WriteLine(script.Run(calls));
        }
        catch (Exception e)
        {
            Console.WriteLine(e.GetType().Name + ": " + e.Message);
        }
    }
}
