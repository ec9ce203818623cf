using TensorParallel.Protocol.Checkpoints;
using TensorParallel.TestKit;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Native;
using TensorParallel.Worker.Ops.Cuda;
using Xunit;

namespace TensorParallel.Worker.Tests.Cuda;

public sealed class CudaCodeCacheTests : IDisposable
{
    private const string Architecture = "sm_80";

    private static readonly CudaKernel[] s_kernels =
    [
        CudaKernels.Elementwise("add", DType.BF16), CudaKernels.Elementwise("add", DType.F32),
        CudaKernels.Embedding(DType.BF16, DType.BF16), CudaKernels.RmsNorm("rms_norm", DType.BF16, DType.BF16),
    ];

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Caches_of_one_folder_share_the_work_of_compiling()
    {
        SkipWithoutNvrtc();
        CudaCodeCache[] caches = [.. Enumerable.Range(0, 3).Select(_ => new CudaCodeCache(_folder.Path))];
        var ready = await Task.WhenAll(caches.Select(cache => Task.Run(() => cache.Prepare(s_kernels, Architecture, 2))));

        Assert.All(ready, count => Assert.Equal(s_kernels.Length, count));
        Assert.Equal(s_kernels.Length, caches.Sum(cache => cache.Compiled));
        Assert.All(s_kernels, kernel => Assert.Equal(caches[0].Get(kernel, Architecture), caches[2].Get(kernel, Architecture)));
        Assert.Equal(s_kernels.Length, Directory.GetFiles(_folder.Path).Length); // no locks, no halves
        Assert.Equal(s_kernels.Length, new CudaCodeCache(_folder.Path).Prepare(s_kernels, Architecture, 1));
    }

    [Fact]
    public async Task Who_finds_another_process_compiling_waits_for_its_file()
    {
        SkipWithoutNvrtc();
        var path = CubinPath(s_kernels[0]);
        var cache = new CudaCodeCache(_folder.Path);
        Task<byte[]> waiting;
        using (new FileStream(path + ".lock", FileMode.Create, FileAccess.ReadWrite, FileShare.None))
        {
            waiting = Task.Run(() => cache.Get(s_kernels[0], Architecture));
            await Task.WhenAny(waiting, Task.Delay(200, TestContext.Current.CancellationToken));
            Assert.False(waiting.IsCompleted);
            await File.WriteAllBytesAsync(path, [1, 2, 3], TestContext.Current.CancellationToken);
        }

        Assert.Equal([1, 2, 3], await waiting);
        Assert.Equal(0, cache.Compiled);
        Assert.True(cache.Get(s_kernels[0], Architecture, anew: true).Length > 3);
        Assert.Equal(1, cache.Compiled);
    }

    [Fact]
    public void A_folder_that_takes_no_files_is_told_and_does_not_matter()
    {
        SkipWithoutNvrtc();
        var notAFolder = _folder.File("file");
        File.WriteAllText(notAFolder, "");
        var cache = new CudaCodeCache(notAFolder);
        Assert.NotEmpty(cache.Get(s_kernels[0], Architecture));
        Assert.Contains(notAFolder, cache.DiskProblem, StringComparison.Ordinal);
    }

    [Fact]
    public void A_kernel_that_does_not_compile_stops_only_who_asks_for_it()
    {
        SkipWithoutNvrtc();
        var broken = new CudaKernel("gemv.cu", "gemv", "T=nonsense OUT=f32 MT=1 NT=1");
        var cache = new CudaCodeCache(_folder.Path);
        Assert.Equal(1, cache.Prepare([broken, s_kernels[0]], Architecture, 2));
        Assert.Throws<NativeException>(() => cache.Get(broken, Architecture));
    }

    [Theory]
    [InlineData(64)]
    [InlineData(112)] // in no list
    public void Every_decode_kernel_of_a_models_head_size_is_made_ready(int headDim)
    {
        var kernels = CudaKernels.Of(DType.BF16, [headDim], 90, 227 * 1024).ToList();

        Assert.All(DecodeShape.All(headDim, 90, 227 * 1024), shape =>
            Assert.Contains(CudaKernels.AttentionDecode(DType.BF16, headDim, shape, rotates: false), kernels));
    }

    [Fact]
    public void A_models_kernels_are_those_of_its_dtype_and_head_size()
    {
        var kernels = CudaKernels.Of(DType.BF16, [128], 90, 227 * 1024).ToArray();
        Assert.Contains(CudaKernels.Elementwise("add", DType.BF16), kernels);
        Assert.Contains(CudaKernels.Embedding(DType.BF16, DType.BF16), kernels);
        Assert.Contains(kernels, kernel => kernel.Defines.Contains("OUT=f32", StringComparison.Ordinal));
        Assert.Contains(kernels, kernel => kernel.File == "attention_decode.cu");
        Assert.All(
            kernels.Where(kernel => kernel.Defines.Contains("HEAD_DIM", StringComparison.Ordinal)),
            kernel => Assert.Contains("HEAD_DIM=128", kernel.Defines, StringComparison.Ordinal));
        Assert.All(kernels, kernel => Assert.DoesNotContain("=f16", kernel.Defines, StringComparison.Ordinal));
        Assert.DoesNotContain(CudaKernels.RmsNorm("rms_norm", DType.BF16, DType.F32), kernels);
    }

    private static void SkipWithoutNvrtc() => Assert.SkipWhen(
        Nvrtc.UnavailableReason is not null, $"{Nvrtc.UnavailableReason} (.ci/fetch-nvrtc fetches one.)");

    private string CubinPath(CudaKernel kernel) => Path.Combine(
        _folder.Path,
        $"{Path.GetFileNameWithoutExtension(kernel.File)}-{CudaCompiler.Fingerprint(kernel, Architecture)[..32]}.cubin");
}
