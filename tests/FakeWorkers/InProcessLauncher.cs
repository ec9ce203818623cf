using Microsoft.Extensions.Logging.Abstractions;
using TensorParallel.Coordinator.Launching;
using TensorParallel.Worker.Session;

namespace TensorParallel.FakeWorkers;

/// <summary>Runs real sessions over the real socket inside this process.</summary>
internal sealed class InProcessLauncher : IWorkerLauncher
{
    /// <summary>Secret to use instead of the one given.</summary>
    public string? WrongSecret { get; init; }

    /// <summary>The sessions started, in order.</summary>
    public List<Session> Sessions { get; } = [];

    public IWorkerProcess Start(WorkerLaunch launch)
    {
        var identity = new WorkerIdentity(launch.Rank, WrongSecret ?? launch.Secret);
        var session = new Session(WorkerAddress.TryParse(launch.Address)!, identity);
        Sessions.Add(session);
        return session;
    }

    /// <summary>A session that poses as a process; killing it breaks its connection.</summary>
    internal sealed class Session : IWorkerProcess
    {
        private readonly CoordinatorLink _link;
        private int _killed;

        public Session(WorkerAddress address, WorkerIdentity identity)
        {
            SocketPath = address.SocketPath;
            _link = CoordinatorLink.Dial(address);
            var logger = NullLogger<WorkerSession>.Instance;
            Ended = new WorkerSession(_link, identity, new FakeRankModelLoader(), logger).RunAsync();
            Exited = ExitAsync();
        }

        public string SocketPath { get; }

        public Task<SessionEnd> Ended { get; }

        public string? LossReason => _link.LossReason;

        public int ProcessId => Environment.ProcessId;

        public Task<ProcessExit> Exited { get; }

        public IReadOnlyList<string> LastErrorLines() => [];

        public void Kill()
        {
            Interlocked.Exchange(ref _killed, 1);
            _link.Dispose();
        }

        public async ValueTask DisposeAsync()
        {
            Kill();
            await Exited;
        }

        private async Task<ProcessExit> ExitAsync()
        {
            var end = await Ended;
            _link.Dispose();
            return new ProcessExit(_killed != 0 ? 137 : end == SessionEnd.Stopped ? 0 : 1);
        }
    }
}
