using System.ComponentModel;
using System.Diagnostics;
using TensorParallel.Protocol.Wire;

namespace TensorParallel.Coordinator.Launching;

/// <summary>
/// Asks a worker which devices there are. The coordinator itself loads no driver: a broken one then ends a probe, not
/// the server.
/// </summary>
internal sealed class DeviceProbe(WorkerProgram program)
{
    private static readonly TimeSpan s_timeout = TimeSpan.FromSeconds(60);

    /// <summary>
    /// Runs <c>worker probe</c>; throws <see cref="WorkerLaunchException"/> when it does not answer well.
    /// </summary>
    public async Task<DeviceInventory> RunAsync(CancellationToken cancellationToken)
    {
        using var process = Start();
        process.StandardInput.Close();
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(s_timeout);
        try
        {
            var errors = process.StandardError.ReadToEndAsync(limit.Token);
            var json = await process.StandardOutput.ReadToEndAsync(limit.Token);
            await process.WaitForExitAsync(limit.Token);
            return process.ExitCode == 0
                ? DeviceInventory.FromJson(json)
                : throw new WorkerLaunchException(
                    $"'worker probe' {new ProcessExit(process.ExitCode).Words}: {(await errors).Trim()}");
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new WorkerLaunchException($"'worker probe' has not answered within {s_timeout.TotalSeconds:F0} s.");
        }
        catch (WireException exception)
        {
            throw new WorkerLaunchException($"{program.Path} is no worker of this version: {exception.Message}");
        }
        finally
        {
            if (!process.HasExited)
            {
                process.Kill(entireProcessTree: true);
            }
        }
    }

    private Process Start()
    {
        try
        {
            return Process.Start(program.ToStartInfo("probe"))!;
        }
        catch (Win32Exception exception)
        {
            throw new WorkerLaunchException($"'worker probe' cannot be started ({program.Path}): {exception.Message}.");
        }
    }
}
