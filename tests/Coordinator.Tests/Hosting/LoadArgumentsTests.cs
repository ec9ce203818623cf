using TensorParallel.Coordinator.Api;
using TensorParallel.Coordinator.Engine;
using TensorParallel.Coordinator.Hosting;
using TensorParallel.TestKit;
using Xunit;

namespace TensorParallel.Coordinator.Tests.Hosting;

/// <summary>What callers of the admin service may ask for.</summary>
public sealed class LoadArgumentsTests : IDisposable
{
    private static readonly ModelArguments s_defaults = new() { CpuWorkers = 3, DType = "float16", MaxContext = 64, TpPlan = "plan.json" };

    private readonly TemporaryFolder _folder = new();

    public LoadArgumentsTests()
    {
        Directory.CreateDirectory(_folder.File("root/inner/model"));
        Directory.CreateDirectory(_folder.File("root-beside"));
        Directory.CreateDirectory(_folder.File("named"));
        Directory.CreateDirectory(_folder.File("secret"));
        File.CreateSymbolicLink(_folder.File("root/out"), _folder.File("secret"));
        File.CreateSymbolicLink(_folder.File("root/in"), "inner/model");
        File.CreateSymbolicLink(_folder.File("root/round"), "round");
    }

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("root/inner/model", "root/inner/model")]
    [InlineData("root/inner/../inner/model/", "root/inner/model")]
    [InlineData("root/in", "root/inner/model")]
    [InlineData("root/not/there", "root/not/there")]
    [InlineData("named", "named")]
    public void Folders_below_a_root_and_those_of_the_command_line_are_allowed(string folder, string real) =>
        Assert.Equal(_folder.File(real), Roots().Resolve($"{_folder.Path}/{folder}"));

    [Theory]
    [InlineData("secret")]
    [InlineData("root")]
    [InlineData("root/../secret")]
    [InlineData("root/out")]
    [InlineData("root/out/deeper")]
    [InlineData("root-beside")]
    [InlineData("named/below")]
    [InlineData("")]
    public void All_others_are_refused_whether_or_not_they_are_there(string folder) =>
        Assert.Throws<FolderNotAllowedException>(() => Roots().Resolve($"{_folder.Path}/{folder}"));

    [Fact]
    public void Paths_that_depend_on_the_working_directory_are_refused()
    {
        Assert.Throws<FolderNotAllowedException>(() => Roots().Resolve("model"));
        Assert.Throws<FolderNotAllowedException>(() => new ModelRoots([], []).Resolve("/"));
        Assert.Throws<DirectoryNotFoundException>(() => new ModelRoots([_folder.File("nowhere")], []));
    }

    [Fact]
    public void What_is_not_said_is_as_on_the_command_line()
    {
        var arguments = LoadArguments.Of(new ModelLoading(_folder.File("named")) { Offload = "model" }, s_defaults, Roots());
        Assert.Equal(s_defaults with { Model = _folder.File("named"), Evictable = true }, arguments);
    }

    [Fact]
    public void Who_names_devices_names_all_of_them()
    {
        var arguments = LoadArguments.Of(
            new ModelLoading(_folder.File("named")) { Name = "m", MaxMemory = "0=8MiB", DeviceMap = "fit", MaxContext = 32 }, s_defaults, Roots());
        Assert.Null(arguments.CpuWorkers);
        Assert.Equal(8 << 20, Assert.Single(arguments.MaxMemory!).Bytes);
        Assert.Equal(("m", null, "fit", 32), (arguments.Name, arguments.TpPlan, arguments.DeviceMap, arguments.MaxContext));
        Assert.False(arguments.Evictable);
    }

    [Fact]
    public void Everything_that_is_wrong_is_said_at_once_and_no_file_is_read()
    {
        var error = Assert.Throws<RequestException>(() => LoadArguments.Of(
            new ModelLoading("")
            {
                Name = "a b",
                Gpus = [0],
                CpuWorkers = -1,
                TpPlan = "/etc/passwd",
                DeviceMap = "/etc/passwd",
                MaxSequences = -4,
                Offload = "nowhere",
            },
            s_defaults,
            Roots()));
        string[] parts =
        [
            "no folder", "name may have", "gpus and cpu_workers", "tp_plan and device_map", "tp_plan is neither", "device_map is none of",
            "cpu_workers is -1", "max_sequences is -4", "offload is \"nowhere\"",
        ];
        Assert.All(parts, part => Assert.Contains(part, error.Message, StringComparison.Ordinal));
    }

    private ModelRoots Roots() => new([_folder.File("root")], [_folder.File("named")]);
}
