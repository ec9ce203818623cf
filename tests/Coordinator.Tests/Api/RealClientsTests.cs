using System.Diagnostics;
using TensorParallel.Coordinator.Tests.Engine;
using TensorParallel.TestKit;
using Xunit;

namespace TensorParallel.Coordinator.Tests.Api;

/// <summary>
/// Node's and Python's gRPC clients against the real server with fake workers; skipped where they cannot be installed.
/// </summary>
public sealed class RealClientsTests
{
    private const int CannotInstall = 3;

    [Fact]
    public async Task Other_languages_clients_stream_cancel_meet_deadlines_and_reflect()
    {
        // 4000 tokens of 1 ms and more: a generation is still running when it is cancelled or its deadline passes.
        var limits = EngineFixture.Limits with { MaxContextTokens = 4096, KvBlockTokens = 64, KvBlocks = 64 };
        await using var api = await ApiFixture.StartAsync(
            _ => new FakeWorkerGroup(limits, _ => Task.Delay(1)), limits: limits);
        var start = new ProcessStartInfo(Path.Combine(RepositoryPaths.Root, "tests", "RealClients", "run.sh"))
        {
            ArgumentList = { new Uri(api.GrpcAddress).Authority },
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEndAsync();
        var errors = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync().WaitAsync(TimeSpan.FromMinutes(5));
        var said = await output + await errors;
        Assert.SkipWhen(process.ExitCode == CannotInstall, said);
        Assert.True(process.ExitCode == 0, said);
        Assert.Contains(" passed, 0 failed", said);
        Assert.All(api.Engine.Factory.Groups, group => Assert.Empty(group.Violations));
    }
}
