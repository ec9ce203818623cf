using TensorParallel.Coordinator.Text;
using Xunit;

namespace TensorParallel.Coordinator.Tests.Text;

/// <summary>
/// Compares with fresh output of the Rust library. oracle/run.sh makes that output and runs this class;
/// TOKENIZER_ORACLE is the folder.
/// </summary>
[Trait("Category", "Oracle")]
public sealed class OracleTests
{
    private const string NoOracle = "(none)";

    private static string? Folder => Environment.GetEnvironmentVariable("TOKENIZER_ORACLE");

    public static TheoryData<string> Tokenizers() => Folder is { Length: > 0 } folder
        ? [.. Directory.GetDirectories(folder).Select(path => Path.GetFileName(path)!).Order(StringComparer.Ordinal)]
        : [NoOracle];

    [Theory]
    [MemberData(nameof(Tokenizers))]
    public void EqualsTheRustLibrary(string name)
    {
        Assert.SkipWhen(
            name == NoOracle, "TOKENIZER_ORACLE is not set: run tests/Coordinator.Tests/Text/oracle/run.sh");
        var folder = Path.Combine(Folder!, name);
        var comparison = new OracleComparison(Tokenizer.Load(folder));
        foreach (var expected in OracleCase.ReadFile(Path.Combine(folder, "cases.jsonl")))
        {
            comparison.Add(expected);
        }

        Assert.True(comparison.Cases > 100, $"Only {comparison.Cases} cases in {folder}");
        Assert.True(comparison.Differences == 0, comparison.Report);
    }
}
