using TensorParallel.Protocol.Checkpoints;
using TensorParallel.TestKit;
using TensorParallel.Worker.Loading;
using Xunit;

namespace TensorParallel.Worker.Tests.Loading;

public sealed class SafetensorsFileTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private string Path => _folder.File("weights.safetensors");

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void AnUntouchedFileHasNotChanged()
    {
        using var file = Open();

        file.Read(0, new byte[100], "w");
        file.ThrowIfChanged();
    }

    [Fact]
    public void ALinkIsFollowed()
    {
        File.WriteAllBytes(_folder.File("blob"), new byte[100]);
        File.CreateSymbolicLink(Path, _folder.File("blob"));
        using var file = new SafetensorsFile(Path);

        file.ThrowIfChanged();
        File.Delete(Path);
        File.WriteAllBytes(_folder.File("blob2"), new byte[100]);
        File.CreateSymbolicLink(Path, _folder.File("blob2"));
        AssertChanged(file, "another file was put in its place");
    }

    [Fact]
    public void ATruncatedFileIsNoticed()
    {
        using var file = Open();
        using (var writer = OpenForWriting())
        {
            writer.SetLength(40);
        }

        AssertChanged(file, "it had 100 bytes and has 40");
    }

    [Fact]
    public void AnOverwrittenByteIsNoticed()
    {
        using var file = Open();
        var before = File.GetLastWriteTimeUtc(Path);
        using (var writer = OpenForWriting())
        {
            writer.WriteByte(1);
        }

        // The kernel's clock for files may not have ticked since the file was made; an editor is never so quick.
        if (File.GetLastWriteTimeUtc(Path) == before)
        {
            File.SetLastWriteTimeUtc(Path, before.AddMilliseconds(1));
        }

        AssertChanged(file, "it was written to");
    }

    [Fact]
    public void AReplacedFileIsNoticed()
    {
        using var file = Open();
        File.WriteAllBytes(_folder.File("new"), new byte[100]);
        File.Move(_folder.File("new"), Path, overwrite: true);

        AssertChanged(file, "another file was put in its place");
    }

    [Fact]
    public void ARemovedFileIsNoticed()
    {
        using var file = Open();
        File.Delete(Path);

        AssertChanged(file, "it was removed");
    }

    private SafetensorsFile Open()
    {
        File.WriteAllBytes(Path, new byte[100]);
        return new SafetensorsFile(Path);
    }

    // Without the lock that .NET takes by itself, as other programs write.
    private FileStream OpenForWriting() => new(Path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite);

    private void AssertChanged(SafetensorsFile file, string how)
    {
        var error = Assert.Throws<CheckpointException>(file.ThrowIfChanged);
        Assert.StartsWith($"{Path}: the file has changed since it was opened ({how})", error.Message, StringComparison.Ordinal);
        Assert.Contains("start it again", error.Message, StringComparison.Ordinal);
    }
}
