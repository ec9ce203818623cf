using TensorParallel.Protocol.Wire;
using Xunit;

namespace TensorParallel.Protocol.Tests.Wire;

public sealed class DeviceInventoryTests
{
    private static readonly CpuInventory s_cpu = new("A \"quoted\" processor", 3, 512, 8L << 30, 5L << 30, 1);

    [Fact]
    public void An_inventory_comes_back_equal()
    {
        var inventory = new DeviceInventory(s_cpu, [new GpuInventory(0, "One", 80L << 30, "9.0") { MemoryFreeBytes = 7 }], null)
        {
            GpuGroupProblem = "NCCL is gone.",
        };

        var back = DeviceInventory.FromJson(inventory.ToJson());

        Assert.Equal(inventory.Cpu, back.Cpu);
        Assert.Equal(inventory.Gpus, back.Gpus);
        Assert.Null(back.GpuUnavailableReason);
        Assert.Null(back.GpuComputeProblem);
        Assert.Equal("NCCL is gone.", back.GpuGroupProblem);
    }

    [Fact]
    public void No_gpus_are_an_empty_list_and_a_reason()
    {
        var json = new DeviceInventory(s_cpu, [], "There is no driver.").ToJson();

        Assert.Contains("\"gpus\": []", json, StringComparison.Ordinal);
        Assert.Contains("\"gpu_unavailable_reason\": \"There is no driver.\"", json, StringComparison.Ordinal);
        Assert.Contains("\"memory_total_bytes\": 8589934592", json, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("null")]
    [InlineData("{}")]
    [InlineData("""{"cpu":null,"gpus":[],"gpu_unavailable_reason":null}""")]
    [InlineData("""{"gpus":[],"gpu_unavailable_reason":null,"more":1}""")]
    public void Anything_else_is_refused(string json) =>
        Assert.Throws<WireException>(() => DeviceInventory.FromJson(json));
}
