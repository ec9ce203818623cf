using System.Text.Json;
using TensorParallel.TestKit;

namespace TensorParallel.EndToEnd.Tests;

/// <summary>The reference's greedy answer to one prompt; the format is told in tests/Golden/README.md.</summary>
/// <param name="PromptIds">The prompt.</param>
/// <param name="GreedyIds">Generated ids, end-of-sequence banned.</param>
/// <param name="Gaps">
/// The recorded best-to-second gaps, one a step; where bf16 gaps are not recorded, those of the float32 run.
/// </param>
/// <param name="AllowedGap">Ids may part at a step whose recorded gap is at most this.</param>
public sealed record GoldenRun(int[] PromptIds, int[] GreedyIds, float[] Gaps, float AllowedGap)
{
    /// <summary>Runs of a family ("llama", …) or of the demo model ("demo") in float32 or bfloat16.</summary>
    public static IReadOnlyList<GoldenRun> Load(string family, string dtype) =>
        family == "demo" ? LoadDemo(dtype) : LoadFamily(family, dtype);

    /// <summary>The model folder of a family.</summary>
    public static string Folder(string family) => family == "demo" ? RepositoryPaths.DemoModel : RepositoryPaths.Golden(family);

    /// <summary>
    /// Fails unless the ids are the reference's up to the first step where its gap allows another one.
    /// </summary>
    public void AssertFollowedBy(IReadOnlyList<int> ids, string what)
    {
        Assert.Equal(GreedyIds.Length, ids.Count);
        for (var step = 0; step < ids.Count; step++)
        {
            if (ids[step] != GreedyIds[step])
            {
                Assert.True(
                    Gaps[step] <= AllowedGap,
                    $"{what}: token {step} is {ids[step]}, the reference's is {GreedyIds[step]} with a gap of {Gaps[step]}.");
                return;
            }
        }
    }

    private static List<GoldenRun> LoadFamily(string family, string dtype)
    {
        using var json = JsonDocument.Parse(File.ReadAllText(Path.Combine(RepositoryPaths.Golden(family), "golden.json")));
        var prompts = json.RootElement.GetProperty("prompts").EnumerateArray().Select(Integers).ToList();
        var runs = json.RootElement.GetProperty("runs").GetProperty(dtype == "float32" ? "fp32" : "bf16");
        return
        [
            .. runs.EnumerateArray().Select((run, index) => new GoldenRun(
                prompts[index],
                Integers(run.GetProperty("greedy")),
                Floats(run.GetProperty("top1_minus_top2")),
                Allowed(dtype, LargestOfFirstLogits(run)))),
        ];
    }

    private static List<GoldenRun> LoadDemo(string dtype)
    {
        using var json = JsonDocument.Parse(File.ReadAllText(Path.Combine(RepositoryPaths.DemoModel, "golden.json")));
        var key = dtype == "float32" ? "greedy_fp32" : "greedy_bf16";
        return
        [
            .. json.RootElement.EnumerateArray().Select(run =>
            {
                var prompt = Integers(run.GetProperty("input_ids"));
                return new GoldenRun(
                    prompt,
                    Integers(run.GetProperty(key))[prompt.Length..],
                    Floats(run.GetProperty("top1_minus_top2_fp32")),
                    Allowed(dtype, run.GetProperty("max_abs_logit_fp32").GetSingle()));
            }),
        ];
    }

    // 2e-3 for float32; for bf16 3e-2 of the largest logit. Of a family only the first eight logits are recorded as numbers, which
    // makes the bound a little stricter than the rule.
    private static float Allowed(string dtype, float largestLogit) => dtype == "float32" ? 2e-3f : 3e-2f * largestLogit;

    private static float LargestOfFirstLogits(JsonElement run) =>
        Floats(run.GetProperty("last_logits_first8")).Max(MathF.Abs);

    private static int[] Integers(JsonElement array) => [.. array.EnumerateArray().Select(value => value.GetInt32())];

    private static float[] Floats(JsonElement array) => [.. array.EnumerateArray().Select(value => value.GetSingle())];
}
