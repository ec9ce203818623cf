using System.Diagnostics;
using TensorParallel.Protocol.Wire;
using Xunit;

namespace TensorParallel.Worker.Tests.Cli;

/// <summary>The worker as a program.</summary>
public sealed class WorkerProgramTests
{
    [Theory]
    [InlineData(2, "no command is given")]
    [InlineData(2, "'dance now' is no command", "dance", "now")]
    [InlineData(2, "'run' needs --connect and --rank", "run", "--rank", "0")]
    [InlineData(2, "--rank wants a number from 0, not '-1'", "run", "--rank", "-1")]
    [InlineData(2, "--connect wants unix: and an absolute path, not 'http://x'", "run", "--connect", "http://x")]
    [InlineData(2, "--connect wants unix: and an absolute path, not ''", "run", "--connect")]
    [InlineData(2, "'run' has no option '--secret'", "run", "--secret", "x")]
    [InlineData(2, "TENSOR_PARALLEL_SECRET is not set", "run", "--connect", "unix:/no/such", "--rank", "0")]
    public async Task A_bad_command_line_is_told_in_one_sentence(int code, string expected, params string[] arguments)
    {
        var (exit, output, errors) = await RunAsync(null, arguments);

        Assert.Equal(code, exit);
        Assert.Empty(output);
        Assert.Contains(expected, errors, StringComparison.Ordinal);
        Assert.Single(errors.Trim().Split('\n'));
    }

    [Fact]
    public async Task Help_goes_to_standard_output()
    {
        var (exit, output, errors) = await RunAsync(null, "--help");

        Assert.Equal(0, exit);
        Assert.Contains("worker probe", output, StringComparison.Ordinal);
        Assert.Empty(errors);
    }

    [Fact]
    public async Task Probe_prints_an_inventory_and_nothing_else()
    {
        var (exit, output, errors) = await RunAsync(null, "probe");

        Assert.Equal(0, exit);
        Assert.True(DeviceInventory.FromJson(output).Cpu.Cores > 0);
        Assert.Empty(errors);
    }

    [Fact]
    public async Task No_coordinator_at_the_address_is_an_error_with_the_rank_before_every_line()
    {
        var (exit, output, errors) = await RunAsync("x", "run", "--connect", "unix:/no/such/socket", "--rank", "7");

        Assert.Equal(1, exit);
        Assert.Empty(output);
        Assert.All(
            errors.Trim().Split('\n'), line => Assert.StartsWith("rank 7 error: ", line, StringComparison.Ordinal));
        Assert.Contains("the coordinator is gone", errors, StringComparison.Ordinal);
    }

    private static async Task<(int Exit, string Output, string Errors)> RunAsync(
        string? secret, params string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, "worker.dll"), .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["TENSOR_PARALLEL_SECRET"] = secret;
        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEndAsync();
        var errors = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        return (process.ExitCode, await output, await errors);
    }
}
