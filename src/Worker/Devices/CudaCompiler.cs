using System.Security.Cryptography;
using System.Text;
using TensorParallel.Worker.Native;

namespace TensorParallel.Worker.Devices;

/// <summary>Compiles embedded kernel sources by NVRTC. Needs no GPU. Thread-safe.</summary>
internal static unsafe class CudaCompiler
{
    private const string HeaderSuffix = ".cuh";

    private static readonly Lazy<IReadOnlyDictionary<string, string>> s_sources = new(ReadSources);

    /// <summary>Architecture to compile for: 90 → <c>sm_90a</c> (with the instructions of that chip alone), 89 → <c>sm_89</c>.</summary>
    public static string Architecture(int capability) => capability >= 90 ? $"sm_{capability}a" : $"sm_{capability}";

    /// <summary>Machine code of a kernel.</summary>
    /// <exception cref="NativeException">NVRTC is missing or refuses the source; the message holds its log.</exception>
    public static byte[] Compile(CudaKernel kernel, string architecture) => Compile(kernel, architecture, [], out _);

    /// <inheritdoc cref="Compile(CudaKernel, string)"/>
    /// <param name="kernel">What to compile.</param>
    /// <param name="architecture">For example <c>sm_90a</c>.</param>
    /// <param name="extraOptions">Options besides the ones that every kernel is compiled with.</param>
    /// <param name="log">What the compiler said.</param>
    public static byte[] Compile(CudaKernel kernel, string architecture, IReadOnlyList<string> extraOptions, out string log)
    {
        var headers = s_sources.Value.Where(s => s.Key.EndsWith(HeaderSuffix, StringComparison.Ordinal)).ToList();
        using var texts = new NativeStrings(headers.Select(h => h.Value));
        using var names = new NativeStrings(headers.Select(h => h.Key));
        using var source = new NativeStrings([Source(kernel), kernel.File]);
        nint program;
        Nvrtc.Check(
            Nvrtc.nvrtcCreateProgram(
                &program, source.Pointers[0], source.Pointers[1], headers.Count, texts.Pointers, names.Pointers));
        try
        {
            using var options = new NativeStrings([.. Options(kernel, architecture), .. extraOptions]);
            var status = Nvrtc.nvrtcCompileProgram(program, options.Count, options.Pointers);
            log = ReadLog(program);
            if (status != 0)
            {
                throw new NativeException($"NVRTC {Nvrtc.Version} refused {kernel} for {architecture}:\n{log}", status);
            }

            nuint bytes;
            Nvrtc.Check(Nvrtc.nvrtcGetCUBINSize(program, &bytes));
            var code = new byte[bytes];
            fixed (byte* target = code)
            {
                Nvrtc.Check(Nvrtc.nvrtcGetCUBIN(program, target));
            }

            return code;
        }
        finally
        {
            Nvrtc.Check(Nvrtc.nvrtcDestroyProgram(&program));
        }
    }

    /// <summary>What the machine code depends on, hashed: sources, headers, options, compiler version.</summary>
    public static string Fingerprint(CudaKernel kernel, string architecture)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var (name, text) in s_sources.Value.OrderBy(s => s.Key, StringComparer.Ordinal))
        {
            if (name == kernel.File || name.EndsWith(HeaderSuffix, StringComparison.Ordinal))
            {
                hash.AppendData(Encoding.UTF8.GetBytes($"{name}\0{text}\0"));
            }
        }

        hash.AppendData(Encoding.UTF8.GetBytes($"{string.Join('\0', Options(kernel, architecture))}\0{Nvrtc.Version}"));
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private static IEnumerable<string> Options(CudaKernel kernel, string architecture) =>
    [
        $"--gpu-architecture={architecture}",
        "-std=c++17",

        // The kernels are device code throughout; NVRTC 13 takes a lambda of theirs for host code unless told.
        "--device-as-default-execution-space",
        .. kernel.Defines.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(d => "-D" + d),
    ];

    private static string Source(CudaKernel kernel) => s_sources.Value.TryGetValue(kernel.File, out var text)
        ? text
        : throw new ArgumentException($"No kernel source {kernel.File} is embedded.", nameof(kernel));

    private static Dictionary<string, string> ReadSources()
    {
        var assembly = typeof(CudaCompiler).Assembly;
        return assembly.GetManifestResourceNames()
            .Where(n => n.EndsWith(".cu", StringComparison.Ordinal) || n.EndsWith(HeaderSuffix, StringComparison.Ordinal))
            .ToDictionary(n => n, n =>
            {
                using var reader = new StreamReader(assembly.GetManifestResourceStream(n)!);
                return reader.ReadToEnd();
            });
    }

    private static string ReadLog(nint program)
    {
        nuint bytes;
        Nvrtc.Check(Nvrtc.nvrtcGetProgramLogSize(program, &bytes));
        var log = new byte[bytes];
        fixed (byte* target = log)
        {
            Nvrtc.Check(Nvrtc.nvrtcGetProgramLog(program, target));
        }

        return Encoding.UTF8.GetString(log).TrimEnd('\0', '\n');
    }
}
