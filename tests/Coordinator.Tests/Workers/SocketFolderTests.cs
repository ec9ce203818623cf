using System.Runtime.Versioning;
using System.Text;
using TensorParallel.Coordinator.Workers;
using Xunit;

namespace TensorParallel.Coordinator.Tests.Workers;

[SupportedOSPlatform("linux")]
public sealed class SocketFolderTests
{
    [Fact]
    public void Only_its_owner_can_enter_and_disposing_removes_it()
    {
        var folder = new SocketFolder(Path.GetTempPath());
        var path = Path.GetDirectoryName(folder.SocketPath)!;
        File.WriteAllText(folder.SocketPath, "");

        Assert.Equal(
            UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(path));
        folder.Dispose();
        Assert.False(Directory.Exists(path));
        folder.Dispose();
    }

    [Theory]
    [InlineData("a")]
    [InlineData("é")]
    public void A_deep_parent_is_passed_over(string letter)
    {
        var parent = Path.Combine(Path.GetTempPath(), string.Concat(Enumerable.Repeat(letter, 100 / letter.Length)));

        using var folder = new SocketFolder(parent);

        Assert.StartsWith("/tmp/", folder.SocketPath, StringComparison.Ordinal);
        Assert.InRange(Encoding.UTF8.GetByteCount(folder.SocketPath), 1, 107);
    }
}
