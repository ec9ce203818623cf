using TensorParallel.Coordinator.Cli;
using TensorParallel.TestKit;
using Xunit;

namespace TensorParallel.Coordinator.Tests.Cli;

public sealed class NamedModelTests
{
    [Theory]
    [InlineData("a=/models/x", "a", "/models/x")]
    [InlineData("llama-3.1=x=y", "llama-3.1", "x=y")]
    [InlineData("a=", "a", "")]
    [InlineData("/models/x", null, "/models/x")]
    [InlineData("./a=b", null, "./a=b")]
    [InlineData("a/b=c", null, "a/b=c")]
    public void A_name_and_a_folder_are_told_apart(string text, string? name, string path) =>
        Assert.Equal(new NamedModel(name, path), NamedModel.Parse(text));

    [Fact]
    public void A_path_that_is_there_is_a_path()
    {
        using var folder = new TemporaryFolder();
        var path = folder.File("a=b");
        Directory.CreateDirectory(path);
        Assert.Equal(new NamedModel(null, path), NamedModel.Parse(path));
    }
}
