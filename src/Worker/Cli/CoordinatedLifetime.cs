using System.Runtime.InteropServices;
using Microsoft.Extensions.Hosting;

namespace TensorParallel.Worker.Cli;

/// <summary>
/// Leaves the end of the process to the coordinator. Ctrl-C and a service's stop reach every process of the group at
/// once; a worker that obeyed would break the requests which the coordinator is about to finish. When the coordinator
/// is gone the stream ends, and that ends the worker; SIGKILL does always.
/// </summary>
internal sealed class CoordinatedLifetime : IHostLifetime, IDisposable
{
    private readonly List<PosixSignalRegistration> _ignored = [];

    /// <inheritdoc/>
    public Task WaitForStartAsync(CancellationToken cancellationToken)
    {
        foreach (var signal in (ReadOnlySpan<PosixSignal>)[PosixSignal.SIGINT, PosixSignal.SIGTERM, PosixSignal.SIGHUP])
        {
            _ignored.Add(PosixSignalRegistration.Create(signal, context => context.Cancel = true));
        }

        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <inheritdoc/>
    public void Dispose() => _ignored.ForEach(registration => registration.Dispose());
}
