using System.Collections.Concurrent;
using System.Text.RegularExpressions;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Native;
using TensorParallel.Worker.Ops.Cuda;
using Xunit;

namespace TensorParallel.Worker.Tests.Cuda;

/// <summary>
/// Every kernel and variant compiles for every architecture, without a GPU. Needs NVRTC: <c>.ci/fetch-nvrtc</c> fetches one, and
/// <c>TP_NATIVE_PATH</c> names its folder; where there is none the tests skip and say so.
/// </summary>
public partial class KernelCompileTests(ITestOutputHelper output)
{
    [Theory]
    [InlineData(80, 163 * 1024)]
    [InlineData(89, 99 * 1024)]
    [InlineData(90, 227 * 1024)]
    public void Every_variant_compiles_without_warnings(int capability, int sharedMemoryBytes)
    {
        SkipWithoutNvrtc();
        var architecture = CudaCompiler.Architecture(capability);
        var kernels = CudaKernels.All(capability, sharedMemoryBytes).DistinctBy(k => (k.File, k.Defines)).ToArray();
        Assert.True(kernels.Length > 80, $"Only {kernels.Length} variants are listed.");

        // One at a time to whichever thread is free: one kernel takes milliseconds, another a quarter of a minute.
        var results = Partitioner.Create(kernels, EnumerablePartitionerOptions.NoBuffering).AsParallel()
            .Select(kernel => Compile(kernel, architecture))
            .ToList();

        Assert.Empty(results.Where(r => r.Fault is not null).Select(r => r.Fault));
        Assert.Equal(kernels.Length, results.Count);
        output.WriteLine($"{kernels.Length} variants for {architecture}, at most {results.Max(r => r.SpilledBytes)} bytes spilled");
    }

    [Fact]
    public void A_source_that_does_not_compile_is_refused_with_the_compilers_words()
    {
        SkipWithoutNvrtc();
        var error = Assert.Throws<NativeException>(
            () => CudaCompiler.Compile(new CudaKernel("gemv.cu", "gemv", "T=nonsense OUT=f32 MT=1 NT=1"), "sm_80"));
        Assert.Contains("nonsense", error.Message, StringComparison.Ordinal);
        Assert.Contains("gemv", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Fingerprints_tell_variants_and_architectures_apart()
    {
        SkipWithoutNvrtc();
        CudaKernel[] kernels =
        [
            CudaKernels.RmsNorm("rms_norm", Protocol.Checkpoints.DType.BF16, Protocol.Checkpoints.DType.BF16),
            CudaKernels.RmsNorm("rms_norm", Protocol.Checkpoints.DType.BF16, Protocol.Checkpoints.DType.F32),
            CudaKernels.Elementwise("add", Protocol.Checkpoints.DType.BF16),
        ];
        var prints = kernels.SelectMany(k => new[] { "sm_80", "sm_90a" }.Select(a => CudaCompiler.Fingerprint(k, a))).ToArray();
        Assert.Equal(prints.Length, prints.Distinct().Count());
        Assert.Equal(prints[0], CudaCompiler.Fingerprint(kernels[0], "sm_80"));
    }

    private static (int SpilledBytes, string? Fault) Compile(CudaKernel kernel, string architecture)
    {
        byte[] code;
        string log;
        try
        {
            code = CudaCompiler.Compile(kernel, architecture, ["--ptxas-options=-v"], out log);
        }
        catch (NativeException refused)
        {
            return (0, refused.Message);
        }

        var spilled = SpilledBytes().Matches(log).Max(m => int.Parse(m.Groups[1].ValueSpan, provider: null));
        var fault = !code.AsSpan().StartsWith("\u007fELF"u8) ? "gave no machine code"
            : log.Contains("warning", StringComparison.Ordinal) ? "is warned of"
            : log.Contains("Performance Loss", StringComparison.Ordinal) ? "loses performance"
            : spilled > 64 ? $"spills {spilled} bytes of registers"
            : null;
        return (spilled, fault is null ? null : $"{kernel} for {architecture} {fault}:\n{log}");
    }

    private static void SkipWithoutNvrtc() => Assert.SkipWhen(
        Nvrtc.UnavailableReason is not null, $"{Nvrtc.UnavailableReason} (.ci/fetch-nvrtc fetches one.)");

    [GeneratedRegex(@"(\d+) bytes spill stores")]
    private static partial Regex SpilledBytes();
}
