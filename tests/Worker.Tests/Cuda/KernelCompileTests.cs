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
        var worst = 0;
        foreach (var kernel in kernels)
        {
            var code = CudaCompiler.Compile(kernel, architecture, ["--ptxas-options=-v"], out var log);
            Assert.True(code.AsSpan().StartsWith("\u007fELF"u8), $"{kernel} for {architecture} gave no machine code");
            Assert.DoesNotContain("warning", log, StringComparison.Ordinal);
            Assert.DoesNotContain("Performance Loss", log, StringComparison.Ordinal);
            var spilled = SpilledBytes().Matches(log).Max(m => int.Parse(m.Groups[1].ValueSpan, provider: null));
            worst = Math.Max(worst, spilled);
            Assert.True(spilled <= 64, $"{kernel} for {architecture} spills {spilled} bytes of registers:\n{log}");
        }

        output.WriteLine($"{kernels.Length} variants for {architecture}, at most {worst} bytes spilled");
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

    private static void SkipWithoutNvrtc() => Assert.SkipWhen(
        Nvrtc.UnavailableReason is not null, $"{Nvrtc.UnavailableReason} (.ci/fetch-nvrtc fetches one.)");

    [GeneratedRegex(@"(\d+) bytes spill stores")]
    private static partial Regex SpilledBytes();
}
