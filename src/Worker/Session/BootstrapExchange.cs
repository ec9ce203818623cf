using Google.Protobuf;
using TensorParallel.Protocol.Wire.Workers;

namespace TensorParallel.Worker.Session;

/// <summary>
/// Carries the collective's bootstrap blob from rank 0 over the coordinator to every rank. The loader calls it from the
/// compute thread; the receive loop delivers.
/// </summary>
internal sealed class BootstrapExchange(Action<WorkerEvent> post, CancellationToken cancellationToken)
{
    private readonly TaskCompletionSource<byte[]> _relayed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Sends rank 0's blob; rank 0 calls it once, before <see cref="Receive"/>.</summary>
    public void Publish(byte[] blob) =>
        post(new WorkerEvent { Bootstrap = new Bootstrap { Blob = ByteString.CopyFrom(blob) } });

    /// <summary>Waits for the blob; every rank calls it. The coordinator's load timeout bounds the wait.</summary>
    public byte[] Receive() => _relayed.Task.WaitAsync(cancellationToken).GetAwaiter().GetResult();

    /// <summary>The relayed blob has arrived; false when one came before.</summary>
    internal bool TryDeliver(byte[] blob) => _relayed.TrySetResult(blob);
}
