using TensorParallel.Coordinator.Launching;
using Xunit;

namespace TensorParallel.Coordinator.Tests.Launching;

public sealed class ProcessExitTests
{
    [Theory]
    [InlineData(0, "ended with exit code 0")]
    [InlineData(3, "ended with exit code 3")]
    [InlineData(255, "ended with exit code 255")]
    [InlineData(139, "was killed by SIGSEGV")]
    [InlineData(134, "was killed by SIGABRT")]
    public void Exit_codes_become_words(int code, string words) => Assert.Equal(words, new ProcessExit(code).Words);
}
