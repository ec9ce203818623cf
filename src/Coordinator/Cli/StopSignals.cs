using System.Runtime.InteropServices;

namespace TensorParallel.Coordinator.Cli;

/// <summary>
/// Ctrl-C, SIGTERM and SIGHUP (the terminal is gone): the first asks a command to finish, the second to stop at once.
/// Registered for the life of the object.
/// </summary>
internal sealed class StopSignals : IDisposable
{
    private readonly CancellationTokenSource _stopping = new();
    private readonly CancellationTokenSource _hurrying = new();
    private readonly PosixSignalRegistration[] _registrations;

    public StopSignals()
    {
        _registrations =
        [
            PosixSignalRegistration.Create(PosixSignal.SIGINT, Receive),
            PosixSignalRegistration.Create(PosixSignal.SIGTERM, Receive),
            PosixSignalRegistration.Create(PosixSignal.SIGHUP, Receive),
        ];
    }

    /// <summary>Cancelled by the first signal.</summary>
    public CancellationToken Stopping => _stopping.Token;

    /// <summary>Cancelled by the second signal.</summary>
    public CancellationToken Hurrying => _hurrying.Token;

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var registration in _registrations)
        {
            registration.Dispose();
        }

        _stopping.Dispose();
        _hurrying.Dispose();
    }

    private void Receive(PosixSignalContext context)
    {
        // The default action would end the process before its workers are stopped.
        context.Cancel = true;
        if (_stopping.IsCancellationRequested)
        {
            _hurrying.Cancel();
        }

        _stopping.Cancel();
    }
}
