using TensorParallel.TestKit;
using TensorParallel.TestKit.FakeGpu;

namespace TensorParallel.EndToEnd.Tests;

/// <summary>
/// Machines whose GPUs lack something, by stand-ins for the GPU libraries: one sentence, the right exit code, and nothing left running.
/// </summary>
public class GpuErrorTests
{
    private static readonly string[] s_all = [FakeGpuLibraries.Driver, FakeGpuLibraries.Nvml, FakeGpuLibraries.Nvrtc, FakeGpuLibraries.Nccl];

    /// <summary>What is said, GPU libraries that are missing, the environment, and the device options.</summary>
    public static TheoryData<string, string[], string[], string[]> Refusals { get; } = new()
    {
        { "GPU 5 is not there: this machine has GPU 0 (Fake GPU 0), GPU 1 (Fake GPU 1)", [], [], ["--gpus", "0,5"] },
        { "--gpus names GPU 0 2 times", [], [], ["--gpus", "0,0"] },
        { "compute capability 7.5, but 8.0 is needed", [], ["FAKE_CAPABILITY=75"], ["--gpus", "0"] },
        { "CUDA 11.8, but 12.0 is needed", [], ["FAKE_DRIVER_VERSION=11080"], ["--gpus", "0"] },
        { "NVRTC was not found", [FakeGpuLibraries.Nvrtc], [], ["--gpus", "0"] },
        { "NCCL was not found", [FakeGpuLibraries.Nccl], [], ["--gpus", "0,1"] },
        { "other processes hold 8.0 GiB", [], ["FAKE_FREE_MIB=20"], ["--gpus", "0"] },
        { "MiB are missing; give --max-context", [], ["FAKE_FREE_MIB=683"], ["--gpus", "0"] },
    };

    [Theory]
    [MemberData(nameof(Refusals))]
    public async Task What_was_asked_for_and_cannot_be_is_one_sentence_and_exit_code_two(
        string expected, string[] missing, string[] settings, string[] options)
    {
        var (exitCode, output, errors) = await GenerateAsync(missing, settings, options);

        Assert.SkipWhen(exitCode != 2 && missing.Length > 0, $"This machine has {string.Join(", ", missing)}.");
        Assert.True(exitCode == 2, $"exit code {exitCode}\n{output}\n{errors}");
        Assert.Contains(expected, errors, StringComparison.Ordinal);
        Assert.Single(errors.Trim().Split('\n'));
        Assert.Equal("", output);
    }

    [Theory]
    [InlineData("NVRTC was not found", FakeGpuLibraries.Nvrtc)]
    [InlineData("cuInit(0) failed", null, "FAKE_INIT=803")]
    public async Task What_was_not_asked_for_falls_back_to_the_processors_and_says_why(
        string expected, string? missing, params string[] settings)
    {
        var (exitCode, output, errors) = await GenerateAsync(missing is null ? [] : [missing], settings, []);

        Assert.SkipWhen(exitCode == 1 && missing is not null, $"This machine has {missing}.");
        Assert.True(exitCode == 0, $"exit code {exitCode}\n{output}\n{errors}");
        Assert.Contains("No GPU is used, the model runs on 2 CPU workers: ", errors, StringComparison.Ordinal);
        Assert.Contains(expected, errors, StringComparison.Ordinal);
        Assert.NotEqual("", output);
    }

    [Fact]
    public async Task Memory_that_only_the_worker_finds_missing_fails_the_run_with_the_gpus_name()
    {
        var (exitCode, output, errors) = await GenerateAsync([FakeGpuLibraries.Nvml], ["FAKE_FREE_MIB=30"], ["--gpus", "1"]);

        Assert.True(exitCode == 1, $"exit code {exitCode}\n{output}\n{errors}");
        Assert.Contains("Rank 0 (cuda:1, process ", errors, StringComparison.Ordinal);
        Assert.Contains("failed while loading: cuda:1 (Fake GPU 1) has too little memory: ", errors, StringComparison.Ordinal);
        Assert.Contains(" missing; use more GPUs", errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_compiler_that_fails_fails_the_run()
    {
        var (exitCode, _, errors) = await GenerateAsync([], [], ["--gpus", "0"]);

        Assert.Equal(1, exitCode);
        Assert.Contains("nvrtcCreateProgram", errors, StringComparison.Ordinal);
        Assert.Contains("failed with a fake error (1)", errors, StringComparison.Ordinal);
    }

    private static async Task<(int ExitCode, string Output, string Errors)> GenerateAsync(
        string[] missing, string[] settings, string[] options)
    {
        Assert.SkipWhen(FakeGpuLibraries.UnavailableReason is not null, FakeGpuLibraries.UnavailableReason ?? string.Empty);
        using var libraries = new FakeGpuLibraries(s_all.Except(missing));
        using var cache = new TemporaryFolder();
        string[] environment = [$"TP_NATIVE_PATH={libraries.Folder}", $"XDG_CACHE_HOME={cache.Path}", .. settings];
        await using var process = CoordinatorProcess.StartIn(
            Path.GetTempPath(), ["generate", "--prompt", "In the", "--max-new-tokens", "4", "--log-level", "None", .. options], environment);
        var exitCode = await process.WaitAsync();
        Assert.Empty(process.Workers());
        return (exitCode, process.Output, process.Errors);
    }
}
