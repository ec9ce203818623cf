using TensorParallel.TestKit;
using Xunit;

namespace TensorParallel.Protocol.Tests.Checkpoints;

public sealed class RepositoryPathsTests
{
    [Fact]
    public void Paths_LeadIntoTheCheckout()
    {
        Assert.True(File.Exists(Path.Combine(RepositoryPaths.Root, "TensorParallel.sln")));
        Assert.True(File.Exists(Path.Combine(RepositoryPaths.DemoModel, "golden.json")));
        Assert.True(File.Exists(Path.Combine(RepositoryPaths.Golden("llama"), "golden.safetensors")));
        Assert.Contains($"/bin/{RepositoryPaths.Configuration}/", AppContext.BaseDirectory, StringComparison.Ordinal);
    }

    [Fact]
    public void MissingFamily_IsNamed() => Assert.Contains(
        "tests/Golden/llamma",
        Assert.Throws<InvalidOperationException>(() => RepositoryPaths.Golden("llamma")).Message,
        StringComparison.Ordinal);
}
