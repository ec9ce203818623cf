using System.Globalization;
using System.Runtime.InteropServices;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;
using TensorParallel.Worker.Loading.Shards;

namespace TensorParallel.Worker.Cli;

/// <summary>
/// <c>worker shard</c>: cuts a checkpoint by the plan that is the first line of standard input, and says on standard output how many
/// bytes of how many are written. The end of the input, which comes with the end of whoever started it, stops it.
/// </summary>
internal static class ShardCommand
{
    /// <summary>Runs to the end.</summary>
    /// <returns>0: the set is there; 1: it is not, nothing is left of it, and standard error says why.</returns>
    public static async Task<int> RunAsync(string model, string output, int threads)
    {
        using var stop = new CancellationTokenSource();

        // Ctrl-C comes to all processes of a terminal: the coordinator decides what it means.
        using var interrupts = PosixSignalRegistration.Create(PosixSignal.SIGINT, signal => signal.Cancel = true);
        using var ends = PosixSignalRegistration.Create(PosixSignal.SIGTERM, signal =>
        {
            signal.Cancel = true;
            stop.Cancel();
        });
        try
        {
            var plan = PlanJson.Deserialize(await Console.In.ReadLineAsync() ?? "");
            _ = Task.Run(async () =>
            {
                while (await Console.In.ReadLineAsync() is not null)
                {
                }

                await stop.CancelAsync();
            });
            new ShardSetWriter(model, plan, output, threads).Write(
                (done, total) => Console.Out.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{done} {total}")), stop.Token);
            return 0;
        }
        catch (OperationCanceledException)
        {
            await Console.Error.WriteLineAsync("Interrupted.");
            return 1;
        }
        catch (Exception e) when (e is CheckpointException or PlanException or ShardException)
        {
            await Console.Error.WriteLineAsync(e.Message);
            return 1;
        }
    }
}
