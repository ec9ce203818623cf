using TensorParallel.Protocol.Wire.Frames;
using TensorParallel.Protocol.Wire.Workers;

namespace TensorParallel.Coordinator.Workers;

/// <summary>One rank's stream. Commands leave in the order posted; posting never waits, from any thread.</summary>
/// <param name="socket">The stream, its Hello read; stays the caller's.</param>
internal sealed class WorkerConnection(MessageSocket socket)
{
    /// <summary>Sends a <see cref="WorkerCommand"/>; it goes nowhere when the stream has ended.</summary>
    public void Post(MessageFrame command) => socket.Send(command);

    /// <summary>
    /// Takes events in, on the calling thread, until the stream ends; returns why, or null after an orderly end. What
    /// <paramref name="receive"/> throws ends the stream and is thrown on, and so is what comes and is no event.
    /// </summary>
    public string? Run(Action<WorkerEvent> receive)
    {
        while (socket.Receive(WorkerEvent.Parser) is { } message)
        {
            receive(message);
        }

        return socket.Problem;
    }
}
