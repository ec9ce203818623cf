using System.Collections.Immutable;
using System.Threading.Channels;
using TensorParallel.Coordinator.Workers;

namespace TensorParallel.Coordinator.Tests.Engine;

/// <summary>Makes fake groups; the test says which, by the number of the start.</summary>
internal sealed class FakeWorkerGroupFactory(Func<int, FakeWorkerGroup> make) : IWorkerGroupFactory
{
    private readonly Channel<FakeWorkerGroup> _started = Channel.CreateUnbounded<FakeWorkerGroup>();
    private ImmutableList<FakeWorkerGroup> _groups = [];
    private int _starts;

    /// <summary>Groups started so far, in order.</summary>
    public ImmutableList<FakeWorkerGroup> Groups => Volatile.Read(ref _groups);

    /// <summary>Starts tried, failed ones too.</summary>
    public int Starts => Volatile.Read(ref _starts);

    /// <summary>Groups as they are started.</summary>
    public ChannelReader<FakeWorkerGroup> Started => _started.Reader;

    public Task<IWorkerGroup> StartAsync(CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var group = make(Interlocked.Increment(ref _starts));
        Volatile.Write(ref _groups, _groups.Add(group));
        _started.Writer.TryWrite(group);
        return Task.FromResult<IWorkerGroup>(group);
    }
}
