using System.Security.Cryptography;
using System.Text;

namespace TensorParallel.Coordinator.Workers;

/// <summary>
/// A folder that only this user can enter (0700), with the path of one unix socket in it. Disposing removes both. A
/// path of a socket may have 107 bytes (sun_path), so a deep temporary folder is passed over for <c>/tmp</c>.
/// </summary>
internal sealed class SocketFolder : IDisposable
{
    private const int MaxPathBytes = 107;
    private const string Shortest = "/tmp";
    private const string SocketName = "hub";

    private readonly string _folder;

    /// <summary>Creates the folder under <paramref name="parent"/>, or under /tmp when that path is too long.</summary>
    public SocketFolder(string parent)
    {
        if (!OperatingSystem.IsLinux())
        {
            throw new PlatformNotSupportedException(
                "Workers are joined by unix sockets in a private folder: Linux only.");
        }

        var sample = Path.Combine(parent, "tp-0123456789ABCDEF", SocketName);
        var root = Encoding.UTF8.GetByteCount(sample) <= MaxPathBytes ? parent : Shortest;
        _folder = Path.Combine(root, $"tp-{Convert.ToHexString(RandomNumberGenerator.GetBytes(8))}");
        Directory.CreateDirectory(_folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        SocketPath = Path.Combine(_folder, SocketName);
    }

    /// <summary>Absolute path of the socket; the listener creates it.</summary>
    public string SocketPath { get; }

    /// <inheritdoc/>
    public void Dispose()
    {
        try
        {
            Directory.Delete(_folder, recursive: true);
        }
        catch (DirectoryNotFoundException)
        {
            // Removed before.
        }
    }
}
