using System.Globalization;
using System.Runtime.Versioning;
using Microsoft.Extensions.Logging;
using TensorParallel.Coordinator.Launching;
using TensorParallel.TestKit;
using Xunit;

namespace TensorParallel.Coordinator.Tests.Launching;

/// <summary>Starts shell scripts in the worker's place.</summary>
[SupportedOSPlatform("linux")]
public sealed class LocalLauncherTests : IDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(20);
    private static readonly WorkerLaunch s_launch = new(2, "unix:/tmp/x", "hush");

    private readonly TemporaryFolder _root = new();
    private readonly RecordingLoggers _loggers = new();

    public void Dispose()
    {
        _root.Dispose();
        _loggers.Dispose();
    }

    [Fact]
    public async Task Exit_code_and_last_lines_are_kept_and_both_outputs_are_logged()
    {
        using var launcher = Launcher(
            "echo to-standard-output; for i in $(seq 1 30); do echo \"line $i\" >&2; done; "
            + "printf 'bad \\377 byte' >&2; exit 3");
        await using var process = launcher.Start(s_launch);

        var exit = await process.Exited.WaitAsync(s_patience);

        Assert.Equal("ended with exit code 3", exit.Words);
        Assert.Equal(20, process.LastErrorLines().Count);
        Assert.Equal("line 30", process.LastErrorLines()[^2]);
        Assert.Equal("bad \uFFFD byte", process.LastErrorLines()[^1]);
        Assert.Contains((LogLevel.Information, "rank 2: to-standard-output"), _loggers.Lines);
        Assert.Contains((LogLevel.Information, "rank 2: line 7"), _loggers.Lines);
    }

    [Fact]
    public async Task The_workers_own_lines_keep_their_level_and_lose_their_prefix()
    {
        using var launcher = Launcher("echo 'rank 2 error: so it goes' >&2; echo 'rank 2 debug: chatter' >&2");
        await using var process = launcher.Start(s_launch);
        await process.Exited.WaitAsync(s_patience);

        Assert.Equal(["so it goes"], process.LastErrorLines());
        Assert.Contains((LogLevel.Error, "rank 2: so it goes"), _loggers.Lines);
        Assert.Contains((LogLevel.Debug, "rank 2: chatter"), _loggers.Lines);
    }

    [Fact]
    public async Task The_secret_goes_by_environment_and_the_rest_of_it_unchanged()
    {
        Environment.SetEnvironmentVariable("NCCL_TEST_PASSED_ON", "a b=c");
        using var launcher = Launcher(
            "echo \"$@\" >&2; echo $TENSOR_PARALLEL_SECRET $NCCL_TEST_PASSED_ON $TENSOR_PARALLEL_PARENT >&2");
        await using var process = launcher.Start(s_launch);
        await process.Exited.WaitAsync(s_patience);

        Assert.Equal(
            ["run --connect unix:/tmp/x --rank 2", $"hush a b=c {Environment.ProcessId}"], process.LastErrorLines());
    }

    [Fact]
    public async Task Disposing_kills_the_process_and_its_children()
    {
        using var launcher = Launcher("sleep 1000 & echo $! >&2; wait");
        var process = launcher.Start(s_launch);
        var child = await _loggers.FirstLine.WaitAsync(s_patience);

        await process.DisposeAsync();

        Assert.Equal(
            "was killed by SIGKILL (by hand, or by the kernel for want of memory)", (await process.Exited).Words);
        Assert.False(Directory.Exists($"/proc/{process.ProcessId}"));
        await ProcessTable.GoneAsync(int.Parse(child.Split(' ')[^1], CultureInfo.InvariantCulture), s_patience);
    }

    [Fact]
    public void What_cannot_be_started_is_told_in_one_sentence()
    {
        var path = _root.File("not-executable");
        File.WriteAllText(path, "");
        using var launcher = new LocalLauncher(new WorkerProgram(path), _loggers);

        var exception = Assert.Throws<WorkerLaunchException>(() => launcher.Start(s_launch));

        Assert.Contains("The worker of rank 2 cannot be started", exception.Message, StringComparison.Ordinal);
        Assert.Contains(path, exception.Message, StringComparison.Ordinal);
    }

    private LocalLauncher Launcher(string script)
    {
        var path = _root.File("worker");
        File.WriteAllText(path, $"#!/bin/sh\n{script}\n");
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        return new LocalLauncher(new WorkerProgram(path), _loggers);
    }
}
