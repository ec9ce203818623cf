using System.Threading.Channels;
using TensorParallel.Protocol.Generation;

namespace TensorParallel.Coordinator.Tests.Engine;

/// <summary>Lets a fake group answer as many steps as a test allows.</summary>
internal sealed class StepGate
{
    private readonly Channel<int> _allowed = Channel.CreateUnbounded<int>();

    public Task PassAsync(StepBatch batch) => _allowed.Reader.ReadAsync().AsTask();

    public void Allow(int steps)
    {
        for (var i = 0; i < steps; i++)
        {
            _allowed.Writer.TryWrite(i);
        }
    }
}
