using System.Diagnostics;
using System.Globalization;
using System.Runtime.Versioning;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using TensorParallel.Coordinator.Launching;
using TensorParallel.Coordinator.Tests.Launching;
using TensorParallel.Coordinator.Workers;
using TensorParallel.FakeWorkers;
using TensorParallel.TestKit;
using Xunit;

namespace TensorParallel.Coordinator.Tests.Workers;

/// <summary>Real worker processes with a fake model, ended in all the wrong ways.</summary>
[SupportedOSPlatform("linux")]
public sealed class WorkerProcessTests : IDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan s_soon = TimeSpan.FromSeconds(2);
    private static readonly WorkerProgram s_program = new(Path.Combine(AppContext.BaseDirectory, "FakeWorkers.dll"));

    private readonly RecordingLoggers _loggers = new();
    private readonly RecordingLauncher _launcher;

    public WorkerProcessTests()
    {
        _launcher = new RecordingLauncher(new LocalLauncher(s_program, _loggers));
    }

    public void Dispose()
    {
        _launcher.Dispose();
        _loggers.Dispose();
    }

    [Fact]
    public async Task Processes_step_and_end_with_code_0()
    {
        var group = await StartAsync(FakePlans.Options(2));
        var answer = await group.StepAsync(FakePlans.Step(4)).WaitAsync(s_patience);
        Assert.Equal(43, Assert.Single(answer.Tokens).TokenId);
        Assert.Contains(
            _loggers.Lines,
            line => line.Level == LogLevel.Debug && line.Text.StartsWith("rank 1: loaded", StringComparison.Ordinal));

        await group.DisposeAsync();

        Assert.All(_launcher.Started, process => Assert.Equal(0, process.Exited.Result.Code));
    }

    [Fact]
    public async Task A_killed_idle_worker_is_noticed()
    {
        await using var group = await StartAsync(FakePlans.Options(2));

        Kill(_launcher.Started[1].ProcessId);

        AssertKilled(await group.Lost.WaitAsync(s_soon), 1, "while idle");
        await AllGoneAsync();
        // The loss is news, its echoes in the hub are not.
        Assert.DoesNotContain(_loggers.Lines, line => line.Level >= LogLevel.Warning);
    }

    [Fact]
    public async Task A_worker_killed_in_a_step_ends_the_step()
    {
        await using var group = await StartAsync(FakePlans.Options(2, FakeBehaviour.StepSpin, 0));
        var step = group.StepAsync(FakePlans.Step(8));

        Kill(_launcher.Started[0].ProcessId);

        AssertKilled(await Assert.ThrowsAsync<WorkerLostException>(() => step.WaitAsync(s_soon)), 0, "in step 8");
        await AllGoneAsync();
    }

    [Fact]
    public async Task A_worker_killed_while_loading_fails_the_start()
    {
        var loading = new TaskCompletionSource();
        var starting = StartAsync(FakePlans.Options(2, FakeBehaviour.LoadHang, 1), told =>
        {
            if (told.Rank == 1)
            {
                loading.TrySetResult();
            }
        });
        await loading.Task.WaitAsync(s_patience);

        Kill(_launcher.Started[1].ProcessId);

        var lost = await Assert.ThrowsAsync<WorkerLostException>(() => starting.WaitAsync(s_soon));
        AssertKilled(lost, 1, "while loading");
        await AllGoneAsync();
    }

    [Fact]
    public async Task A_worker_that_ends_by_itself_is_quoted()
    {
        var lost = await Assert.ThrowsAsync<WorkerLostException>(
            () => StartAsync(FakePlans.Options(2, FakeBehaviour.LoadExit, 1)));

        Assert.Equal(1, lost.Rank);
        Assert.Contains(
            "ended with exit code 3 while loading; its last lines: free(): invalid \u0001 pointer",
            lost.Message,
            StringComparison.Ordinal);
        await AllGoneAsync();
    }

    [Fact]
    public async Task A_program_that_never_connects_is_given_up()
    {
        using var folder = new TemporaryFolder();
        var script = folder.File("worker");
        File.WriteAllText(script, "#!/bin/sh\nexec sleep 1000\n");
        File.SetUnixFileMode(script, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        using var recording = new RecordingLauncher(
            new LocalLauncher(new WorkerProgram(script), NullLoggerFactory.Instance));
        var options = FakePlans.Options(1) with { HelloTimeout = TimeSpan.FromSeconds(0.4) };

        var lost = await Assert.ThrowsAsync<WorkerLostException>(
            () => new WorkerGroupFactory(options, recording, new Progress<LoadProgress>(), NullLoggerFactory.Instance)
                .StartAsync(CancellationToken.None).WaitAsync(s_patience));

        Assert.Contains("has not connected for 0.4 s", lost.Message, StringComparison.Ordinal);
        await ProcessTable.GoneAsync(recording.Started[0].ProcessId, s_soon);
    }

    [Theory]
    [InlineData(nameof(FakeBehaviour.Good), "ready", true)]
    [InlineData(nameof(FakeBehaviour.Good), "ready", false)]
    [InlineData(nameof(FakeBehaviour.StepSpin), "ready", false)]
    [InlineData(nameof(FakeBehaviour.LoadHang), "loading 1", false)]
    public async Task Workers_end_with_a_killed_coordinator(string behaviour, string sign, bool deathSignal)
    {
        var start = s_program.ToStartInfo("hold", $"{behaviour}@1");
        start.Environment["FAKE_WORKERS_NO_DEATH_SIGNAL"] = deathSignal ? null : "1";
        using var coordinator = Process.Start(start)!;
        while (await coordinator.StandardOutput.ReadLineAsync().WaitAsync(s_patience) is { } line && line != sign)
        {
        }

        var workers = ProcessTable.Children(coordinator.Id);
        Assert.Equal(2, workers.Count);
        Assert.All(workers, worker => Assert.False(Directory.Exists(SocketFolder(worker)), "the socket is left"));
        coordinator.Kill();

        foreach (var worker in workers)
        {
            await ProcessTable.GoneAsync(worker, s_soon);
        }
    }

    [Theory]
    [InlineData("INT")]
    [InlineData("TERM")]
    [InlineData("HUP")]
    public async Task Workers_leave_signals_of_the_terminal_to_the_coordinator(string signal)
    {
        await using var group = await StartAsync(FakePlans.Options(2));

        foreach (var process in _launcher.Started)
        {
            Kill(process.ProcessId, signal);
        }

        Assert.Equal(3, (await group.StepAsync(FakePlans.Step(3)).WaitAsync(s_patience)).Step);
        Assert.False(group.Lost.IsCompleted);
    }

    // The worker's command line names the socket: run --connect unix:/tmp/tp-0123/hub --rank 0
    private static string SocketFolder(int processId) =>
        Path.GetDirectoryName(File.ReadAllText($"/proc/{processId}/cmdline").Split('\0')
            .Single(argument => argument.StartsWith("unix:", StringComparison.Ordinal))["unix:".Length..])!;

    private static void AssertKilled(WorkerLostException lost, int rank, string activity)
    {
        Assert.Equal(rank, lost.Rank);
        Assert.Contains(
            $"was killed by SIGKILL (by hand, or by the kernel for want of memory) {activity}",
            lost.Message,
            StringComparison.Ordinal);
    }

    private static void Kill(int processId, string signal = "KILL")
    {
        using var kill = Process.Start("kill", ["-s", signal, processId.ToString(CultureInfo.InvariantCulture)]);
        kill.WaitForExit();
        Assert.Equal(0, kill.ExitCode);
    }

    private async Task AllGoneAsync()
    {
        foreach (var process in _launcher.Started)
        {
            await ProcessTable.GoneAsync(process.ProcessId, s_soon);
        }
    }

    private Task<WorkerGroup> StartAsync(WorkerGroupOptions options, Action<LoadProgress>? progress = null) =>
        new WorkerGroupFactory(
                options, _launcher, new Progress<LoadProgress>(progress ?? (_ => { })), _loggers)
            .StartGroupAsync(CancellationToken.None).WaitAsync(s_patience);
}
