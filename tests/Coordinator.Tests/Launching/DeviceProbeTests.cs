using TensorParallel.Coordinator.Launching;
using Xunit;

namespace TensorParallel.Coordinator.Tests.Launching;

public sealed class DeviceProbeTests
{
    [Fact]
    public async Task The_workers_answer_describes_this_machine()
    {
        var program = WorkerProgram.Find(AppContext.BaseDirectory, null);

        var inventory = await new DeviceProbe(program).RunAsync(TestContext.Current.CancellationToken);

        Assert.Equal(Environment.ProcessorCount, inventory.Cpu.Cores);
        Assert.NotEmpty(inventory.Cpu.Name);
        Assert.Contains(inventory.Cpu.SimdBits, (IEnumerable<int>)[128, 256, 512]);
        Assert.InRange(inventory.Cpu.MemoryAvailableBytes, 1, inventory.Cpu.MemoryTotalBytes);
        Assert.True(inventory.Gpus.Count > 0 == inventory.GpuUnavailableReason is null);
    }

    [Fact]
    public async Task Another_program_is_recognised()
    {
        var exception = await Assert.ThrowsAsync<WorkerLaunchException>(
            () => new DeviceProbe(new WorkerProgram("/bin/echo")).RunAsync(CancellationToken.None));

        Assert.Contains("/bin/echo is no worker of this version", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_probe_that_fails_is_told_with_its_error()
    {
        var exception = await Assert.ThrowsAsync<WorkerLaunchException>(
            () => new DeviceProbe(new WorkerProgram("/bin/ls")).RunAsync(CancellationToken.None));

        Assert.Contains("'worker probe' ended with exit code 2", exception.Message, StringComparison.Ordinal);
        Assert.Contains("probe", exception.Message, StringComparison.Ordinal);
    }
}
