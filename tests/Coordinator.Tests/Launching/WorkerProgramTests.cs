using TensorParallel.Coordinator.Launching;
using TensorParallel.TestKit;
using Xunit;

namespace TensorParallel.Coordinator.Tests.Launching;

public sealed class WorkerProgramTests : IDisposable
{
    private readonly TemporaryFolder _root = new();

    public void Dispose() => _root.Dispose();

    [Theory]
    [InlineData("src/Coordinator/bin/Release/net10.0", "src/Worker/bin/Release/net10.0/worker.dll")]
    [InlineData("src/Coordinator/bin/Debug/net10.0/", "src/Worker/bin/Debug/net10.0/worker.dll")]
    [InlineData("tests/EndToEnd.Tests/bin/Release/net10.0", "src/Worker/bin/Release/net10.0/worker.dll")]
    [InlineData("bundle", "bundle/worker.dll")]
    public void The_worker_is_found_from_where_the_program_lies(string program, string worker)
    {
        var expected = Create(worker);

        var found = WorkerProgram.Find(Folder(program), null);

        Assert.Equal(expected, found.Path);
    }

    [Fact]
    public void The_override_comes_first()
    {
        Create("bundle/worker.dll");
        var other = Create("elsewhere/other-worker");

        Assert.Equal(other, WorkerProgram.Find(Folder("bundle"), other).Path);
    }

    [Fact]
    public void An_override_that_does_not_exist_is_an_error()
    {
        Create("bundle/worker.dll");

        var exception = Assert.Throws<WorkerLaunchException>(
            () => WorkerProgram.Find(Folder("bundle"), "/no/such/worker"));

        Assert.Contains("TENSOR_PARALLEL_WORKER names /no/such/worker", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_error_lists_what_was_tried()
    {
        Create("src/Worker/bin/Debug/net10.0/worker.dll");
        var folder = Folder("src/Coordinator/bin/Release/net10.0");

        var exception = Assert.Throws<WorkerLaunchException>(() => WorkerProgram.Find(folder, ""));

        Assert.Contains(Path.Combine(folder, "worker.dll"), exception.Message, StringComparison.Ordinal);
        Assert.Contains("src/Worker/bin/Release/net10.0/worker.dll", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_library_is_run_by_the_runtime_and_an_executable_by_itself()
    {
        var library = new WorkerProgram("/x/worker.dll").ToStartInfo("run", "--rank", "1");
        var executable = new WorkerProgram("/x/worker").ToStartInfo("probe");

        Assert.Equal("dotnet", Path.GetFileName(library.FileName));
        Assert.Equal(["/x/worker.dll", "run", "--rank", "1"], library.ArgumentList);
        Assert.Equal("/x/worker", executable.FileName);
        Assert.Equal(["probe"], executable.ArgumentList);
    }

    private string Folder(string path) => Directory.CreateDirectory(_root.File(path)).FullName;

    private string Create(string path)
    {
        var full = _root.File(path);
        Directory.CreateDirectory(Path.GetDirectoryName(full)!);
        File.WriteAllText(full, "");
        return full;
    }
}
