using System.Collections.Concurrent;
using TensorParallel.Worker.Native;

namespace TensorParallel.Worker.Devices;

/// <summary>
/// Machine code of kernels: from memory, else from a folder of the disk, else from the compiler. Files appear whole or not at all, and
/// of several processes that want the same one, one compiles it and the others wait for its file. Needs no GPU. Thread-safe.
/// </summary>
internal sealed class CudaCodeCache(string folder)
{
    private const int EWOULDBLOCK = 11; // errno of a lock that another process holds

    // Far above any kernel's time; a process that was stopped while it compiles may not stop the others.
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan s_poll = TimeSpan.FromMilliseconds(20);

    private readonly ConcurrentDictionary<string, Entry> _entries = new();
    private int _compiled;

    /// <summary>Kernels compiled because the disk did not have them.</summary>
    public int Compiled => Volatile.Read(ref _compiled);

    /// <summary>Why compiled kernels could not be kept, or null.</summary>
    public string? DiskProblem { get; private set; }

    /// <summary>The code of a kernel; waits for whoever makes it already.</summary>
    /// <param name="kernel">What is wanted.</param>
    /// <param name="architecture">For example <c>sm_90a</c>.</param>
    /// <param name="anew">Compile it even if it is there: what is there does not load.</param>
    /// <exception cref="NativeException">NVRTC is missing or refuses the source.</exception>
    public byte[] Get(CudaKernel kernel, string architecture, bool anew = false)
    {
        var entry = EntryOf(kernel, architecture);
        lock (entry)
        {
            return entry.Code = anew ? Compile(kernel, architecture, entry.Path) : Find(kernel, architecture, entry, waits: true)!;
        }
    }

    /// <summary>
    /// Makes code ready, several kernels at a time: first those that no other process is compiling, so that processes that start
    /// together share the work. A kernel that does not compile is left to whoever asks for it, and is told of then.
    /// </summary>
    /// <returns>How many are ready.</returns>
    public int Prepare(IReadOnlyCollection<CudaKernel> kernels, string architecture, int threads)
    {
        var ready = 0;
        var busy = new ConcurrentQueue<CudaKernel>();
        var options = new ParallelOptions { MaxDegreeOfParallelism = Math.Max(1, threads) };
        Parallel.ForEach(kernels, options, kernel => Try(kernel, waits: false));
        Parallel.ForEach(busy.ToArray(), options, kernel => Try(kernel, waits: true));
        return ready;

        void Try(CudaKernel kernel, bool waits)
        {
            try
            {
                var entry = EntryOf(kernel, architecture);
                lock (entry)
                {
                    entry.Code = Find(kernel, architecture, entry, waits);
                    if (entry.Code is null)
                    {
                        busy.Enqueue(kernel);
                    }
                    else
                    {
                        Interlocked.Increment(ref ready);
                    }
                }
            }
            catch (NativeException)
            {
                // Told by Get: only a kernel that is asked for has to compile.
            }
        }
    }

    private Entry EntryOf(CudaKernel kernel, string architecture)
    {
        var fingerprint = CudaCompiler.Fingerprint(kernel, architecture);
        return _entries.GetOrAdd(fingerprint, static (print, place) => new Entry(Path.Combine(
            place.folder, $"{Path.GetFileNameWithoutExtension(place.kernel.File)}-{print[..32]}.cubin")), (folder, kernel));
    }

    // Null: another process compiles it, and the caller does not wait.
    private byte[]? Find(CudaKernel kernel, string architecture, Entry entry, bool waits)
    {
        if ((entry.Code ?? TryRead(entry.Path)) is { } known)
        {
            return known;
        }

        var until = TimeProvider.System.GetTimestamp();
        while (true)
        {
            using var turn = TryTurn(entry.Path, out var isTaken);
            if (!isTaken || TimeProvider.System.GetElapsedTime(until) > s_patience)
            {
                // The file may have come between the first look and the lock.
                return TryRead(entry.Path) ?? Compile(kernel, architecture, entry.Path);
            }

            if (!waits)
            {
                return null;
            }

            Thread.Sleep(s_poll);
        }
    }

    // The turn to compile; null where another process has it, and where the folder takes no files: then everybody compiles.
    private FileStream? TryTurn(string path, out bool isTaken)
    {
        isTaken = false;
        try
        {
            Directory.CreateDirectory(folder);
            return new FileStream(
                path + ".lock", FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, 1, FileOptions.DeleteOnClose);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            isTaken = e.HResult == EWOULDBLOCK;
            return null;
        }
    }

    private static byte[]? TryRead(string path)
    {
        try
        {
            return File.ReadAllBytes(path) is { Length: > 0 } code ? code : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null; // not there, or not for us: it is compiled anew
        }
    }

    private byte[] Compile(CudaKernel kernel, string architecture, string path)
    {
        var code = CudaCompiler.Compile(kernel, architecture);
        Interlocked.Increment(ref _compiled);
        Save(path, code);
        return code;
    }

    private void Save(string path, byte[] code)
    {
        var temporary = $"{path}.{Environment.ProcessId}.{Guid.NewGuid():N}";
        try
        {
            Directory.CreateDirectory(folder);
            File.WriteAllBytes(temporary, code);
            File.Move(temporary, path, overwrite: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            DiskProblem = $"Compiled kernels cannot be kept in {folder}: {e.Message}";
        }
    }

    private sealed class Entry(string path)
    {
        public string Path { get; } = path;

        public byte[]? Code { get; set; }
    }
}
