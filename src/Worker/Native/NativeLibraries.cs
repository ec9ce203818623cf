using System.Collections.Concurrent;
using System.Reflection;
using System.Runtime.InteropServices;

namespace TensorParallel.Worker.Native;

/// <summary>
/// The one resolver of the GPU libraries. Each is looked for in the folders of <see cref="OverrideVariable"/> (so that it really
/// overrides), then by the loader, then in <c>CUDA_HOME</c>, then in the active Python environment's <c>nvidia/*/lib</c>. Thread-safe.
/// </summary>
internal static class NativeLibraries
{
    internal const string Cuda = "tp-cuda";
    internal const string Nvrtc = "tp-nvrtc";
    internal const string CublasLt = "tp-cublasLt";
    internal const string Nccl = "tp-nccl";
    internal const string Nvml = "tp-nvml";

    /// <summary>Folders, separated by colons, that are searched first.</summary>
    internal const string OverrideVariable = "TP_NATIVE_PATH";

    private static readonly NativeLibrarySpec[] s_libraries =
    [
        new(Cuda, "The NVIDIA driver", ["libcuda.so.1", "libcuda.so"], null, "install an NVIDIA driver"),
        new(
            Nvrtc, "NVRTC", ["libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"], "libnvrtc-builtins.so",
            "install the CUDA runtime compiler (12.4 or newer)"),
        new(
            CublasLt, "cuBLASLt", ["libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so"], null,
            "install cuBLAS (12 or newer)"),
        new(Nccl, "NCCL", ["libnccl.so.2", "libnccl.so"], null, "install NCCL 2"),
        new(Nvml, "NVML", ["libnvidia-ml.so.1"], null, "install an NVIDIA driver"),
    ];

    private static readonly ConcurrentDictionary<string, Resolution> s_resolved = new();
    private static readonly Lazy<bool> s_registered = new(() =>
    {
        NativeLibrary.SetDllImportResolver(typeof(NativeLibraries).Assembly, Resolve);
        return true;
    });

    /// <summary>Makes imports of this assembly go through the resolver; every class of imports calls it first.</summary>
    internal static void UseResolver() => _ = s_registered.Value;

    /// <summary>Why a library cannot be used, one sentence; null if it was loaded.</summary>
    internal static string? UnavailableReason(string import) => Find(import).Reason;

    /// <summary>Path or name that a library was loaded by; null if it is missing.</summary>
    internal static string? LoadedFrom(string import) => Find(import).Path;

    /// <summary>Folders to search besides the loader's path, in order, with where each comes from; exposed for tests.</summary>
    internal static IEnumerable<string> Folders(Func<string, string?> environment)
    {
        foreach (var folder in Split(environment(OverrideVariable)))
        {
            yield return folder;
        }

        yield return string.Empty; // the loader's own path
        if (environment("CUDA_HOME") is { Length: > 0 } home)
        {
            yield return Path.Combine(home, "lib64");
            yield return Path.Combine(home, "targets", "x86_64-linux", "lib");
        }

        foreach (var folder in PythonEnvironment.NativeFolders(environment))
        {
            yield return folder;
        }
    }

    private static string[] Split(string? folders) =>
        (folders ?? string.Empty).Split(':', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);

    private static nint Resolve(string name, Assembly assembly, DllImportSearchPath? searchPath)
    {
        if (!Array.Exists(s_libraries, l => l.Import == name))
        {
            return 0; // libc and the like: the runtime's own way
        }

        var found = Find(name);
        return found.Reason is null ? found.Handle : throw new NativeException(found.Reason);
    }

    private static Resolution Find(string import) => s_resolved.GetOrAdd(
        import,
        static name => Load(Array.Find(s_libraries, l => l.Import == name)!, [.. Folders(Environment.GetEnvironmentVariable)]));

    private static Resolution Load(NativeLibrarySpec library, string[] folders)
    {
        string? failure = null;
        foreach (var folder in folders)
        {
            foreach (var file in library.FileNames)
            {
                var path = Path.Combine(folder, file);
                if (folder.Length > 0 && !File.Exists(path))
                {
                    continue;
                }

                LoadCompanion(library, folder);
                try
                {
                    return new Resolution(NativeLibrary.Load(path), path, null);
                }
                catch (DllNotFoundException e) when (folder.Length > 0)
                {
                    failure ??= $" {path} is there but could not be loaded: {e.Message.ReplaceLineEndings(" ").Trim()}";
                }
                catch (DllNotFoundException)
                {
                    // Not on the loader's path: the next place is tried, and all places stand in the reason.
                }
            }
        }

        var places = string.Join(", ", folders.Select(f => f.Length == 0 ? "the loader's path" : f));
        return new Resolution(
            0,
            null,
            $"{library.Title} was not found: {string.Join(" or ", library.FileNames)} is not in {places};{failure} " +
            $"{library.Remedy}, or name its folder in {OverrideVariable}.");
    }

    // The library opens its companion by bare name, which the loader finds once it is in memory.
    private static void LoadCompanion(NativeLibrarySpec library, string folder)
    {
        if (library.Companion is null || folder.Length == 0)
        {
            return;
        }

        foreach (var file in Directory.EnumerateFiles(folder, library.Companion + "*").Order(StringComparer.Ordinal))
        {
            if (NativeLibrary.TryLoad(file, out _))
            {
                return;
            }
        }
    }

    private sealed record Resolution(nint Handle, string? Path, string? Reason);
}
