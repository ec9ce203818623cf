using System.Diagnostics;
using TensorParallel.TestKit;

namespace TensorParallel.EndToEnd.Tests;

/// <summary>
/// Node's @grpc/grpc-js and Python's grpcio against a real coordinator: streaming, cancelling, deadline, health,
/// reflection. What they check stands in tests/RealClients; this starts the server for them.
/// </summary>
[Trait("Category", "RealClients")]
public class RealClientTests
{
    private const int Missing = 3;

    [Fact]
    public async Task NodeAndPythonStreamCancelAndReflect()
    {
        await using var served = await ServedCoordinator.StartAsync("--cpu-workers", "2");
        var start = new ProcessStartInfo(
            Path.Combine(RepositoryPaths.Root, "tests", "RealClients", "run.sh"), [new Uri(served.Address).Authority])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using var clients = Process.Start(start)!;
        var errors = clients.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        var output = await clients.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await clients.WaitForExitAsync(TestContext.Current.CancellationToken);

        Assert.SkipWhen(clients.ExitCode == Missing, output.Trim());
        Assert.True(clients.ExitCode == 0, $"{output}\n{await errors}");
        Assert.Matches(@"[1-9]\d* passed, 0 failed\s*$", output);
    }
}
