using TensorParallel.Coordinator.Hosting;
using TensorParallel.Coordinator.Planning;
using TensorParallel.Protocol.Parallel;
using TensorParallel.Protocol.Wire;
using Xunit;

namespace TensorParallel.Coordinator.Tests.Hosting;

public sealed class DeviceSelectionTests
{
    private const long GiB = 1L << 30;

    private static readonly CpuInventory s_cpu = new("A processor", 8, 256, 32 * GiB, 16 * GiB, 1);

    private static readonly DeviceInventory s_two = new(
        s_cpu, [Gpu(0, "9.0") with { MemoryFreeBytes = 70 * GiB }, Gpu(1, "9.0"), Gpu(2, "7.5")], null);

    [Fact]
    public void Requested_gpus_come_in_the_order_asked_with_their_free_memory()
    {
        Assert.Equal(
            [new PlanDevice("cuda:1", 80 * GiB), new PlanDevice("cuda:0", 70 * GiB, 80 * GiB) { FreeBytes = 70 * GiB }],
            DeviceSelection.Requested([1, 0], s_two));
    }

    [Fact]
    public void A_gpu_that_is_not_there_is_refused_with_those_that_are() => Assert.Equal(
        "GPU 5, 9 are not there: this machine has GPU 0 (Model 0), GPU 1 (Model 1), GPU 2 (Model 2); give --gpus with those, or "
        + "--cpu-workers N.",
        Refusal([5, 0, 9], s_two));

    [Fact]
    public void Without_a_driver_its_reason_is_told() => Assert.Equal(
        "GPU 0 is not there: There is no driver. Or use --cpu-workers N.",
        Refusal([0], new DeviceInventory(s_cpu, [], "There is no driver.")));

    [Fact]
    public void A_gpu_that_is_too_old_is_refused() => Assert.Equal(
        "GPU 2 (Model 2) has compute capability 7.5, but 8.0 is needed: use --cpu-workers N.", Refusal([0, 2], s_two));

    [Fact]
    public void A_gpu_given_twice_is_refused() => Assert.Equal(
        "--gpus names GPU 1 2 times: each worker needs a GPU of its own.", Refusal([1, 0, 1], s_two));

    [Fact]
    public void A_missing_compiler_is_told_for_any_gpu_and_a_missing_nccl_for_several()
    {
        Assert.Equal("GPUs cannot be used: NVRTC is gone. Or use --cpu-workers N.", Refusal([0], s_two with { GpuComputeProblem = "NVRTC is gone." }));
        var alone = s_two with { GpuGroupProblem = "NCCL is gone." };
        Assert.Equal("2 GPUs cannot work together: NCCL is gone. Or give one GPU.", Refusal([0, 1], alone));
        Assert.Single(DeviceSelection.Requested([1], alone));
    }

    [Fact]
    public void All_usable_gpus_are_taken_without_a_word()
    {
        var choice = DeviceSelection.AllOf(s_two);
        Assert.Equal(["cuda:0", "cuda:1"], choice.Devices.Select(device => device.Name));
        Assert.Empty(choice.Notices);
    }

    [Fact]
    public void Gpus_that_cannot_be_used_leave_the_processors_and_the_reason()
    {
        DeviceInventory[] without =
        [
            new(s_cpu, [], "The reason."),
            s_two with { GpuComputeProblem = "The reason." },
            new(s_cpu, [Gpu(0, "7.0")], null),
        ];
        foreach (var inventory in without)
        {
            var choice = DeviceSelection.AllOf(inventory);
            Assert.Equal(["cpu:0", "cpu:1"], choice.Devices.Select(device => device.Name));
            var notice = Assert.Single(choice.Notices);
            Assert.StartsWith("No GPU is used, the model runs on 2 CPU workers: ", notice, StringComparison.Ordinal);
            Assert.Contains(inventory.Gpus is [{ ComputeCapability: "7.0" }] ? "GPU 0 (Model 0): compute capability 8.0" : "The reason.", notice, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Without_nccl_one_gpu_is_taken_and_that_is_told()
    {
        var choice = DeviceSelection.AllOf(s_two with { GpuGroupProblem = "NCCL is gone." });
        Assert.Equal("cuda:0", Assert.Single(choice.Devices).Name);
        Assert.Equal("Only GPU 0 (Model 0) of 2 is used: NCCL is gone.", Assert.Single(choice.Notices));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Lists_are_checked_before_any_gpu_is_looked_for(bool run)
    {
        var scope = run ? PreparationScope.Run : PreparationScope.PlanOnly;
        var error = await Assert.ThrowsAsync<PlanException>(() => DeviceSelection.SelectAsync(
            new ModelArguments { Gpus = [3, 3] }, scope, TestContext.Current.CancellationToken));
        Assert.Contains("GPU 3 2 times", error.Message, StringComparison.Ordinal);
        error = await Assert.ThrowsAsync<PlanException>(() => DeviceSelection.SelectAsync(
            new ModelArguments { CpuWorkers = 65 }, scope, TestContext.Current.CancellationToken));
        Assert.Contains("at most 64", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_plan_takes_gpus_at_their_word()
    {
        var choice = await DeviceSelection.SelectAsync(
            new ModelArguments { Gpus = [7, 5] }, PreparationScope.PlanOnly, TestContext.Current.CancellationToken);
        Assert.Equal([new PlanDevice("cuda:7"), new PlanDevice("cuda:5")], choice.Devices);
    }

    private static GpuInventory Gpu(int index, string capability) => new(index, $"Model {index}", 80 * GiB, capability);

    private static string Refusal(int[] indices, DeviceInventory inventory) =>
        Assert.Throws<PlanException>(() => DeviceSelection.Requested(indices, inventory)).Message;
}
