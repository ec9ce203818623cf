using System.Text.RegularExpressions;
using TensorParallel.TestKit;
using Xunit;

namespace TensorParallel.Worker.Tests;

/// <summary>
/// The worker's folders are layers: Native 0, Devices 1, Ops 2, Quantization, KvCache and Collectives 3, Modules,
/// Loading, Measuring and Sampling 4, Offloading above Modules and Loading, Execution 5, Session 6, Cli 7. A file may name only what the table allows its folder.
/// </summary>
public partial class LayeringTests
{
    private static readonly Dictionary<string, string[]> s_allowed = new()
    {
        ["Native"] = [],
        ["Devices"] = ["Native"],
        ["Ops"] = ["Native", "Devices"],
        ["Quantization"] = ["Devices", "Ops"],
        ["KvCache"] = ["Devices", "Ops"],
        ["Collectives"] = ["Native", "Devices", "Ops"],
        ["Modules"] = ["Devices", "Ops", "Quantization", "KvCache", "Collectives"],
        ["Loading"] = ["Native", "Devices", "Ops", "Quantization"],
        ["Sampling"] = ["Devices", "Ops", "Collectives"],
        ["Measuring"] = ["Devices", "Ops", "Quantization", "Collectives"],
        ["Offloading"] = ["Native", "Devices", "Ops", "Quantization", "Modules", "Loading"],
        ["Execution"] =
            ["Devices", "Ops", "Quantization", "KvCache", "Collectives", "Modules", "Loading", "Sampling", "Offloading"],
        ["Session"] = ["Native", "Devices", "Ops", "Collectives", "KvCache", "Modules", "Loading", "Measuring", "Offloading", "Execution"],
        ["Cli"] = ["Native", "Loading", "Session"],
    };

    private static string WorkerFolder => Path.Combine(RepositoryPaths.Root, "src", "Worker");

    [Fact]
    public void FilesUseOnlyLayersBelowTheirs()
    {
        var violations = new List<string>();
        var references = 0;
        foreach (var (file, folder) in SourceFiles())
        {
            foreach (var used in UsedFolders(File.ReadAllText(file)).Where(used => used != folder))
            {
                references++;
                if (!s_allowed[folder].Contains(used))
                {
                    violations.Add($"{Path.GetRelativePath(WorkerFolder, file)} uses {used}, which {folder} may not");
                }
            }
        }

        Assert.True(violations.Count == 0, string.Join(Environment.NewLine, violations));
        Assert.True(references > 20, $"Only {references} references were found: the scan is broken.");
    }

    [Fact]
    public void EveryFolderIsInTheTable()
    {
        string[] notSource = ["bin", "obj", "Properties"];
        var folders = Directory.GetDirectories(WorkerFolder).Select(d => Path.GetFileName(d)).Except(notSource);
        Assert.Empty(folders.Except(s_allowed.Keys));
    }

    [Fact]
    public void TheTableHasNoCycle()
    {
        var done = new HashSet<string>();
        while (done.Count < s_allowed.Count)
        {
            var next = s_allowed.Keys.Where(k => !done.Contains(k) && s_allowed[k].All(done.Contains)).ToArray();
            Assert.True(next.Length > 0, $"Cycle among {string.Join(", ", s_allowed.Keys.Except(done))}.");
            done.UnionWith(next);
        }
    }

    [Theory]
    [InlineData("using TensorParallel.Worker.Loading;", "Loading")]
    [InlineData("using static TensorParallel.Worker.Ops.Cpu.Lanes;", "Ops")]
    [InlineData("using T = TensorParallel.Worker.Devices.Tensor;", "Devices")]
    [InlineData("var x = TensorParallel.Worker.Session.Link.Open();", "Session")]
    public void EveryWayToNameAFolderIsSeen(string line, string folder) => Assert.Equal([folder], UsedFolders(line));

    private static IEnumerable<(string File, string Folder)> SourceFiles() =>
        from folder in s_allowed.Keys
        let path = Path.Combine(WorkerFolder, folder)
        where Directory.Exists(path)
        from file in Directory.EnumerateFiles(path, "*.cs", SearchOption.AllDirectories)
        select (file, folder);

    private static IEnumerable<string> UsedFolders(string text) =>
        WorkerNamespace().Matches(text).Select(m => m.Groups[1].Value).Distinct();

    [GeneratedRegex(@"TensorParallel\.Worker\.(\w+)")]
    private static partial Regex WorkerNamespace();
}
