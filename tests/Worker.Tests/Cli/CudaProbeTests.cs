using System.Diagnostics;
using TensorParallel.Protocol.Wire;
using TensorParallel.TestKit;
using TensorParallel.TestKit.FakeGpu;
using Xunit;

namespace TensorParallel.Worker.Tests.Cli;

/// <summary><c>worker probe</c> on machines with drivers of all kinds.</summary>
public sealed class CudaProbeTests
{
    [Fact]
    public async Task Gpus_are_told_with_their_free_memory()
    {
        using var libraries = Libraries(FakeGpuLibraries.Driver, FakeGpuLibraries.Nvml);
        var inventory = await ProbeAsync(libraries.Folder, "FAKE_GPUS=3", "FAKE_TOTAL_MIB=8000", "FAKE_FREE_MIB=5000", "FAKE_CAPABILITY=89");

        Assert.Null(inventory.GpuUnavailableReason);
        Assert.Equal(
            [.. Enumerable.Range(0, 3).Select(i => new GpuInventory(i, $"Fake GPU {i}", 8000L << 20, "8.9") { MemoryFreeBytes = 5000L << 20 })],
            inventory.Gpus);
    }

    [Fact]
    public async Task Libraries_that_gpus_need_are_missed_by_name()
    {
        using var libraries = Libraries(FakeGpuLibraries.Driver);
        var inventory = await ProbeAsync(libraries.Folder, "FAKE_GPUS=2");
        Assert.SkipWhen(inventory.GpuComputeProblem is null || inventory.GpuGroupProblem is null, "This machine has NVRTC or NCCL.");
        Assert.StartsWith("NVRTC was not found: ", inventory.GpuComputeProblem, StringComparison.Ordinal);
        Assert.Contains(libraries.Folder, inventory.GpuComputeProblem, StringComparison.Ordinal);
        Assert.StartsWith("NCCL was not found: ", inventory.GpuGroupProblem, StringComparison.Ordinal);
        Assert.Null((await ProbeAsync(libraries.Folder, "FAKE_GPUS=1")).GpuGroupProblem);
    }

    [Fact]
    public async Task A_compiler_that_is_too_old_is_told()
    {
        using var libraries = Libraries(FakeGpuLibraries.Driver, FakeGpuLibraries.Nvrtc);
        Assert.Null((await ProbeAsync(libraries.Folder)).GpuComputeProblem);
        var old = await ProbeAsync(libraries.Folder, "FAKE_NVRTC_VERSION=1108");
        Assert.StartsWith("NVRTC 11.8 (", old.GpuComputeProblem, StringComparison.Ordinal);
        Assert.Contains("too old", old.GpuComputeProblem, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("FAKE_INIT=802", "The NVIDIA driver does not start: cuInit(0) failed with CUDA_ERROR_FAKE (802): a fake error")]
    [InlineData("FAKE_INIT=100", "The NVIDIA driver sees no GPU")]
    [InlineData("FAKE_GPUS=0", "The NVIDIA driver sees no GPU")]
    [InlineData("FAKE_DRIVER_VERSION=11040", "The NVIDIA driver supports CUDA 11.4, but 12.0 is needed; install a newer driver.")]
    public async Task A_driver_that_does_not_serve_says_why(string setting, string expected)
    {
        using var libraries = Libraries(FakeGpuLibraries.Driver);
        var inventory = await ProbeAsync(libraries.Folder, setting);
        Assert.Empty(inventory.Gpus);
        Assert.StartsWith(expected, inventory.GpuUnavailableReason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_library_that_is_no_driver_says_so()
    {
        using var folder = new TemporaryFolder();
        await File.WriteAllTextAsync(folder.File("libcuda.so.1"), "not a library", TestContext.Current.CancellationToken);
        var inventory = await ProbeAsync(folder.Path);
        Assert.SkipWhen(inventory.Gpus.Count > 0, "This machine has a driver.");
        Assert.Contains($"{folder.File("libcuda.so.1")} is there but could not be loaded", inventory.GpuUnavailableReason, StringComparison.Ordinal);
    }

    private static FakeGpuLibraries Libraries(params string[] libraries)
    {
        Assert.SkipWhen(FakeGpuLibraries.UnavailableReason is not null, FakeGpuLibraries.UnavailableReason ?? string.Empty);
        return new FakeGpuLibraries(libraries);
    }

    private static async Task<DeviceInventory> ProbeAsync(string nativePath, params string[] settings)
    {
        var start = new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, "worker.dll"), "probe"])
        {
            RedirectStandardOutput = true,
        };
        start.Environment["TP_NATIVE_PATH"] = nativePath;
        foreach (var setting in settings.Select(s => s.Split('=')))
        {
            start.Environment[setting[0]] = setting[1];
        }

        using var process = Process.Start(start)!;
        var output = await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.Equal(0, process.ExitCode);
        return DeviceInventory.FromJson(output);
    }
}
