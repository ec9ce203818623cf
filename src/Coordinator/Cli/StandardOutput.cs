using System.Text;
using Microsoft.Win32.SafeHandles;

namespace TensorParallel.Coordinator.Cli;

/// <summary>This process's standard output.</summary>
internal static class StandardOutput
{
    private const int BrokenPipe = 32; // EPIPE

    /// <summary>
    /// A writer that notices when the reader of a pipe is gone: the console's own says nothing, and <c>generate … | head -1</c> would
    /// compute on for nobody. Files and terminals keep the console's writer, which appends where the shell says.
    /// </summary>
    public static TextWriter Open()
    {
        if (!Console.IsOutputRedirected)
        {
            return Console.Out;
        }

        try
        {
            var stream = new FileStream(new SafeFileHandle(1, ownsHandle: false), FileAccess.Write, bufferSize: 0);
            return stream.CanSeek
                ? Console.Out
                : new StreamWriter(stream, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false)) { AutoFlush = true };
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or ArgumentException)
        {
            // Closed, or a folder: the first write says so, inside a command.
            return Console.Out;
        }
    }

    /// <summary>Whether a write failed because the reader of the pipe is gone.</summary>
    public static bool IsReaderGone(IOException exception) => exception.HResult == BrokenPipe;
}
