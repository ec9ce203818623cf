using System.CommandLine;
using TensorParallel.Coordinator.Cli;
using TensorParallel.Coordinator.Planning.DeviceMaps;
using TensorParallel.Coordinator.Planning.Offloading;
using TensorParallel.Protocol.Parallel;
using Xunit;

namespace TensorParallel.Coordinator.Tests.Cli;

/// <summary>The options of offloading, as every command reads them.</summary>
public class ModelOptionsTests
{
    private readonly ModelOptions _options = new();

    [Fact]
    public void NothingIsOffloadedByDefault()
    {
        var arguments = Read();

        Assert.Equal(new OffloadRequest(), arguments.Offload);
        Assert.Equal((OffloadKind.Group, 1), (arguments.Offload.KindOrDefault, arguments.Offload.GroupBlocks));
        Assert.Equal([2, 1], arguments.Offload.SlotCounts);
        Assert.Null(arguments.MaxMemory);
    }

    [Fact]
    public void KindsAndSizesAreRead()
    {
        var arguments = Read("--offload", "group", "--blocks-per-group", "4", "--offload-slots", "3", "--max-memory", "0=1KiB,cpu=2KiB");

        Assert.Equal(new OffloadRequest(OffloadKind.Group, 4, 3), arguments.Offload);
        Assert.Equal([3], arguments.Offload.SlotCounts);
        Assert.Equal([new DeviceBudget("0", 1024), new DeviceBudget("cpu", 2048)], arguments.MaxMemory!);
        Assert.Equal(new OffloadRequest(OffloadKind.Sequential), Read("--offload", "sequential").Offload);
        Assert.Equal([1], Read("--offload", "model").Offload.SlotCounts);

        // What has no kind comes in groups, of this size.
        Assert.Equal(new OffloadRequest(null, 2), Read("--blocks-per-group", "2").Offload);
    }

    [Theory]
    [InlineData("--offload is \"layer\": give model, sequential, group.", "--offload", "layer")]
    [InlineData("--blocks-per-group belongs to --offload group, but --offload is model: give one of them.", "--offload", "model", "--blocks-per-group", "2")]
    [InlineData("--offload-slots belongs to --offload group, but --offload is sequential: give one of them.", "--offload", "sequential", "--offload-slots", "2")]
    [InlineData("--blocks-per-group is 0: give a number of at least 1.", "--offload", "group", "--blocks-per-group", "0")]
    [InlineData("--offload-slots is 65: give a number of at most 64.", "--offload", "group", "--offload-slots", "65")]
    public void MistakesAreOneSentence(string expected, params string[] arguments) =>
        Assert.Equal(expected, Assert.Throws<UsageException>(() => Read(arguments)).Message);

    private TensorParallel.Coordinator.Hosting.ModelArguments Read(params string[] arguments)
    {
        var command = new RootCommand();
        _options.AddTo(command);
        return _options.Read(command.Parse(arguments));
    }
}
