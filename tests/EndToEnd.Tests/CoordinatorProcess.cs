using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using TensorParallel.TestKit;

namespace TensorParallel.EndToEnd.Tests;

/// <summary>A coordinator started as a user starts it. Disposing it kills it with all its workers.</summary>
internal sealed partial class CoordinatorProcess : IAsyncDisposable
{
    private static readonly TimeSpan s_limit = TimeSpan.FromMinutes(3);

    private readonly Process _process;
    private readonly StringBuilder _output = new();
    private readonly StringBuilder _errors = new();
    private readonly Task _reading;

    private CoordinatorProcess(Process process)
    {
        _process = process;
        _reading = Task.WhenAll(ReadAsync(process.StandardOutput, _output), ReadAsync(process.StandardError, _errors));
    }

    public int Id => _process.Id;

    public string Output
    {
        get
        {
            lock (_output)
            {
                return _output.ToString();
            }
        }
    }

    public string Errors
    {
        get
        {
            lock (_errors)
            {
                return _errors.ToString();
            }
        }
    }

    public static CoordinatorProcess Start(params IEnumerable<string> arguments) => StartIn(Path.GetTempPath(), arguments);

    /// <summary>Starts in a working directory that has nothing to do with the checkout.</summary>
    /// <param name="workingDirectory">The directory.</param>
    /// <param name="arguments">The command line.</param>
    /// <param name="environment">Variables to set besides: <c>NAME=value</c>.</param>
    public static CoordinatorProcess StartIn(
        string workingDirectory, IEnumerable<string> arguments, IEnumerable<string>? environment = null)
    {
        // A shell's background jobs ignore SIGINT, those of nohup SIGHUP, and so would all they start: "env" undoes that.
        var start = new ProcessStartInfo(
            "env", ["--default-signal=INT,HUP", .. environment ?? [], "dotnet", RepositoryPaths.CoordinatorDll, .. arguments])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = workingDirectory,
        };
        var process = Process.Start(start)!;
        process.StandardInput.Close();
        return new CoordinatorProcess(process);
    }

    /// <summary>Runs to the end.</summary>
    public static async Task<(int ExitCode, string Output, string Errors)> RunAsync(params string[] arguments)
    {
        await using var process = Start(arguments);
        var exitCode = await process.WaitAsync();
        return (exitCode, process.Output, process.Errors);
    }

    /// <summary>Exit code, once the process has ended and everything it wrote is read.</summary>
    public async Task<int> WaitAsync()
    {
        await _process.WaitForExitAsync().WaitAsync(s_limit);
        await _reading.WaitAsync(s_limit);
        return _process.ExitCode;
    }

    /// <summary>Waits until standard output or standard error holds a text.</summary>
    public async Task WaitForAsync(string text)
    {
        var clock = Stopwatch.StartNew();
        while (!Output.Contains(text, StringComparison.Ordinal) && !Errors.Contains(text, StringComparison.Ordinal))
        {
            Assert.False(_process.HasExited, $"ended with {(_process.HasExited ? _process.ExitCode : 0)} before \"{text}\":\n{Output}\n{Errors}");
            Assert.True(clock.Elapsed < s_limit, $"\"{text}\" did not come within {s_limit}:\n{Output}\n{Errors}");
            await Task.Delay(20);
        }
    }

    /// <summary>Waits until there is a worker process; all that there are then.</summary>
    public async Task<IReadOnlyList<int>> WaitForWorkersAsync()
    {
        var clock = Stopwatch.StartNew();
        while (Workers().Count == 0)
        {
            Assert.True(!_process.HasExited && clock.Elapsed < s_limit, $"No worker was started:\n{Output}\n{Errors}");
            await Task.Delay(20);
        }

        return Workers();
    }

    /// <summary>Closes the reading end of standard output, as <c>head</c> does when it has enough.</summary>
    public void CloseOutput() => _process.StandardOutput.BaseStream.Dispose();

    /// <summary>Sends a signal: 2 is Ctrl-C's, 9 kills.</summary>
    public void Signal(int signal) => Assert.Equal(0, Kill(_process.Id, signal));

    /// <summary>Sends a signal to another process.</summary>
    public static void Signal(int processId, int signal) => Assert.Equal(0, Kill(processId, signal));

    /// <summary>Ids of the worker processes that this coordinator started and that still run.</summary>
    public IReadOnlyList<int> Workers() => WorkersOf(_process.Id);

    /// <summary>Ids of the running worker processes whose parent is the given process.</summary>
    public static IReadOnlyList<int> WorkersOf(int parent)
    {
        var workers = new List<int>();
        foreach (var folder in Directory.EnumerateDirectories("/proc"))
        {
            if (int.TryParse(Path.GetFileName(folder), out var id) && ParentOf(id) == parent && IsWorker(id))
            {
                workers.Add(id);
            }
        }

        return workers;
    }

    /// <summary>Whether a process exists and is not a zombie.</summary>
    public static bool IsAlive(int processId)
    {
        try
        {
            return !File.ReadAllText($"/proc/{processId}/stat").Split(')')[^1].TrimStart().StartsWith('Z');
        }
        catch (IOException)
        {
            return false;
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            _process.Kill(entireProcessTree: true);
            await _process.WaitForExitAsync();
        }

        _process.Dispose();
    }

    private static int? ParentOf(int id)
    {
        try
        {
            // "pid (name) state parent …": the name may hold blanks and brackets.
            return int.Parse(File.ReadAllText($"/proc/{id}/stat").Split(')')[^1].Split(' ')[2], CultureInfo.InvariantCulture);
        }
        catch (IOException)
        {
            return null;
        }
    }

    private static bool IsWorker(int id)
    {
        try
        {
            return File.ReadAllText($"/proc/{id}/cmdline").Contains("worker.dll", StringComparison.Ordinal);
        }
        catch (IOException)
        {
            return false;
        }
    }

    private static async Task ReadAsync(StreamReader reader, StringBuilder target)
    {
        var buffer = new char[4096];
        int count;
        try
        {
            while ((count = await reader.ReadAsync(buffer)) > 0)
            {
                lock (target)
                {
                    target.Append(buffer, 0, count);
                }
            }
        }
        catch (Exception exception) when (exception is IOException or ObjectDisposedException or OperationCanceledException)
        {
            // CloseOutput.
        }
    }

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int Kill(int processId, int signal);
}
