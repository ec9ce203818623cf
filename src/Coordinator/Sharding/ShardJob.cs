using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using TensorParallel.Coordinator.Launching;
using TensorParallel.Coordinator.Workers;
using TensorParallel.Protocol.Parallel;
using TensorParallel.Protocol.Shards;

namespace TensorParallel.Coordinator.Sharding;

/// <summary>
/// Has a worker process cut a checkpoint into a shard set: workers know how weights are read and converted. The process ends when its
/// standard input does, and so with this one, whatever ends it.
/// </summary>
internal sealed class ShardJob(WorkerProgram program)
{
    private const string LockSuffix = ".lock";

    private static readonly TimeSpan s_grace = TimeSpan.FromSeconds(10);

    /// <summary>Cuts; returns when the set lies in <paramref name="folder"/>. On any failure nothing is left of it.</summary>
    /// <param name="source">What is cut, and how.</param>
    /// <param name="folder">Folder of the set.</param>
    /// <param name="threads">Threads that read, convert and hash.</param>
    /// <param name="progress">How far it is.</param>
    /// <param name="cancellationToken">Stops it.</param>
    /// <exception cref="ShardRunException">It failed, or another process is at it.</exception>
    public async Task RunAsync(
        ShardSource source, string folder, int threads, IProgress<LoadProgress> progress, CancellationToken cancellationToken)
    {
        using var turn = Lock(folder);
        ShardSpace.Check(Path.GetDirectoryName(folder)!, source.Plan);
        using var process = Start("shard", "--model", source.ModelFolder, "--output", folder, "--threads", $"{threads}");
        try
        {
            // A worker that has ended already tells why on standard error.
            var errors = process.StandardError.ReadToEndAsync(CancellationToken.None);
            await SendAsync(process, source.Plan);
            while (await process.StandardOutput.ReadLineAsync(cancellationToken) is { } line)
            {
                progress.Report(Read(line));
            }

            await process.WaitForExitAsync(cancellationToken);
            if (process.ExitCode != 0)
            {
                var said = (await errors).Trim();
                throw new ShardRunException(said.Length > 0 ? said : $"'worker shard' {new ProcessExit(process.ExitCode).Words}.");
            }
        }
        finally
        {
            await EndAsync(process);
            RemovePartial(folder);
        }
    }

    /// <summary>So that a run that failed leaves the model's folder as it was.</summary>
    /// <param name="root">Folder of sets.</param>
    public static void RemoveIfEmpty(string root)
    {
        try
        {
            Directory.Delete(root);
        }
        catch (IOException)
        {
            // It is not empty, because it holds the set or another process makes one there; or that has removed it.
        }
    }

    /// <summary>
    /// Makes a set one process's to write, until it is disposed. The file goes with the lock: the runtime removes it before it gives the lock
    /// back, and who has locked a file that was removed meanwhile opens the next one.
    /// </summary>
    /// <exception cref="ShardRunException">Another process is at it, or the place cannot be written.</exception>
    internal static FileStream Lock(string folder)
    {
        var root = Path.GetDirectoryName(folder)!;
        while (true)
        {
            MakeRoot(root);
            try
            {
                return new FileStream(
                    folder + LockSuffix, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, bufferSize: 1, FileOptions.DeleteOnClose);
            }
            catch (Exception e) when (e is DirectoryNotFoundException or FileNotFoundException)
            {
                // A job that failed meanwhile has removed the folder, empty as it was (and another may have made it anew); each can do so once.
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                throw new ShardRunException(
                    $"{root}: cannot be written, or another process makes these shards now: {e.Message.TrimEnd('.')}; "
                    + "wait for it, or give another place with --output.",
                    e);
            }
        }
    }

    private static void MakeRoot(string root)
    {
        try
        {
            Directory.CreateDirectory(root);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ShardRunException($"{root}: the folder for shards cannot be made: {e.Message.TrimEnd('.')}; give another place with --output.", e);
        }
    }

    // The input stays open: its end is what tells the worker to stop.
    private static async Task SendAsync(Process process, ExecutionPlan plan)
    {
        try
        {
            await process.StandardInput.WriteLineAsync(PlanJson.Serialize(plan));
            await process.StandardInput.FlushAsync();
        }
        catch (IOException) when (process.WaitForExit(s_grace))
        {
            // It ended before it read its input; the exit code and standard error are looked at by the caller.
        }
    }

    private static LoadProgress Read(string line)
    {
        var words = line.Split(' ');
        return words is [var done, var total]
            && long.TryParse(done, CultureInfo.InvariantCulture, out var doneBytes)
            && long.TryParse(total, CultureInfo.InvariantCulture, out var totalBytes)
                ? new LoadProgress(0, doneBytes, totalBytes)
                : throw new ShardRunException($"'worker shard' said \"{line}\": it is no worker of this version.");
    }

    private static async Task EndAsync(Process process)
    {
        if (process.HasExited)
        {
            return;
        }

        process.StandardInput.Close();
        using var limit = new CancellationTokenSource(s_grace);
        try
        {
            await process.WaitForExitAsync(limit.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            await process.WaitForExitAsync(CancellationToken.None);
        }
    }

    // What a killed worker could not remove itself.
    private static void RemovePartial(string folder)
    {
        var partial = ShardFolder.Partial(folder);
        if (Directory.Exists(partial))
        {
            Directory.Delete(partial, recursive: true);
        }
    }

    private Process Start(params string[] arguments)
    {
        try
        {
            return Process.Start(program.ToStartInfo(arguments))!;
        }
        catch (Win32Exception exception)
        {
            throw new WorkerLaunchException($"'worker shard' cannot be started ({program.Path}): {exception.Message}.");
        }
    }
}
