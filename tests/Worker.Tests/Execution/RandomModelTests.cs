using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;
using TensorParallel.TestKit;
using Xunit;

namespace TensorParallel.Worker.Tests.Execution;

/// <summary>
/// Random models of awkward sizes: at any number of ranks, cut in any way that planning accepts, the logits are those
/// of one rank.
/// </summary>
public class RandomModelTests
{
    private static readonly int[] s_long = [.. Enumerable.Range(0, 37).Select(i => (i * 29) % 101)];
    private static readonly int[] s_short = [5, 77, 3];

    public static TheoryData<string, TinyCheckpointOptions> Models { get; } = new()
    {
        {
            "12 query heads over 3",
            Model() with { Heads = 12, KvHeads = 3, HeadDim = 8, Intermediate = 100, Vocab = 101 }
        },
        {
            "7 heads, biases",
            Model(biases: true) with { Heads = 7, KvHeads = 7, HeadDim = 10, Intermediate = 37, Vocab = 131 }
        },
        {
            "one KV head, tied",
            Model() with { Heads = 5, KvHeads = 1, Intermediate = 81, Vocab = 103, Tied = true, Rope = TinyRope.Llama3 }
        },
        {
            "f16 file, shards",
            Model() with { Heads = 6, HeadDim = 12, Vocab = 120, DType = DType.F16, Shards = 3, Rope = TinyRope.Linear }
        },
    };

    [Theory]
    [MemberData(nameof(Models))]
    public void AnyNumberOfRanksGivesTheLogitsOfOne(string name, TinyCheckpointOptions options)
    {
        using var folder = new TemporaryFolder();
        TinyCheckpoint.Write(folder.Path, options);
        var reference = Logits(folder.Path, GroupRun.Plan(folder.Path, 1, DType.F32));
        for (var ranks = 2; ranks <= 5; ranks++)
        {
            var plan = GroupRun.Plan(folder.Path, ranks, DType.F32);
            AssertSame(reference, Logits(folder.Path, plan), $"{name}, {ranks} ranks");
        }

        var map = GroupRun.Plan(folder.Path, 5, DType.F32, useDeviceMap: true);
        AssertSame(reference, Logits(folder.Path, map), $"{name}, map");
    }

    public static TheoryData<string> CustomPlans { get; } =
    [
        // Attention whole on every rank: gathered, then split again.
        """
        {"layers.*.self_attn.q_proj": "colwise_gather_output", "layers.*.self_attn.k_proj": "colwise_gather_output",
         "layers.*.self_attn.v_proj": "colwise_gather_output", "layers.*.self_attn.o_proj": "rowwise_split_input",
         "layers.*.mlp.gate_proj": "colwise", "layers.*.mlp.up_proj": "colwise", "layers.*.mlp.down_proj": "rowwise",
         "lm_head": "colwise_gather_output"}
        """,

        // Attention replicated.
        """
        {"layers.*.mlp.gate_proj": "colwise", "layers.*.mlp.up_proj": "colwise", "layers.*.mlp.down_proj": "rowwise"}
        """,

        // The MLP gathered; its output projection gathered too.
        """
        {"layers.*.self_attn.q_proj": "colwise", "layers.*.self_attn.k_proj": "colwise",
         "layers.*.self_attn.v_proj": "colwise", "layers.*.self_attn.o_proj": "rowwise",
         "layers.*.mlp.gate_proj": "colwise_gather_output", "layers.*.mlp.up_proj": "colwise_gather_output",
         "layers.*.mlp.down_proj": "colwise_gather_output"}
        """,

        // Layers that read the same rows, each joined in its own way; layer 1 otherwise than layer 0.
        """
        {"layers.0.self_attn.q_proj": "colwise_gather_output", "layers.0.self_attn.v_proj": "rowwise_split_input",
         "layers.0.self_attn.o_proj": "rowwise_split_input", "layers.0.mlp.up_proj": "rowwise_split_input",
         "layers.1.self_attn.q_proj": "colwise", "layers.1.self_attn.k_proj": "colwise",
         "layers.1.self_attn.v_proj": "colwise", "layers.1.self_attn.o_proj": "rowwise",
         "layers.1.mlp.down_proj": "rowwise_rep", "embed_tokens": "embedding_rowwise", "lm_head": "rowwise_split_input"}
        """,
    ];

    [Theory]
    [MemberData(nameof(CustomPlans))]
    public void CustomPlansGiveTheLogitsOfOneRank(string tpPlan)
    {
        var options = Model(biases: true) with { Heads = 6, KvHeads = 3, Intermediate = 75, Vocab = 127 };
        using var folder = new TemporaryFolder();
        TinyCheckpoint.Write(folder.Path, options);
        var reference = Logits(folder.Path, GroupRun.Plan(folder.Path, 1, DType.F32));
        for (var ranks = 1; ranks <= 4; ranks++)
        {
            var plan = GroupRun.Plan(folder.Path, ranks, DType.F32, tpPlan: tpPlan);
            AssertSame(reference, Logits(folder.Path, plan), $"{ranks} ranks, {tpPlan}");
        }
    }

    [Theory]
    [InlineData(1, false)]
    [InlineData(3, false)]
    [InlineData(2, true)]
    public void ChunksOfAPromptAreAsGoodAsTheWhole(int ranks, bool useDeviceMap)
    {
        using var folder = new TemporaryFolder();
        TinyCheckpoint.Write(folder.Path, Model());
        var plan = GroupRun.Plan(folder.Path, ranks, DType.F32, useDeviceMap);
        var whole = new StepScript(plan.Limits);
        whole.Add(whole.Prompt(0, s_long));
        whole.Add(whole.Continue(0));

        // Chunks that end inside, at and after a KV block; another sequence decodes meanwhile.
        var chunked = new StepScript(plan.Limits);
        chunked.Add(chunked.Start(0, 37, s_long[..5], sample: false), chunked.Prompt(3, s_short));
        chunked.Add(chunked.Continue(3), chunked.Tokens(0, s_long[5..16], sample: false));
        chunked.Add(chunked.Tokens(0, s_long[16..17], sample: false), chunked.Continue(3));
        chunked.Add(chunked.Tokens(0, s_long[17..], sample: true));
        chunked.Add(chunked.Continue(3), chunked.Continue(0));

        var (a, b) = (GroupRun.Run(folder.Path, plan, whole.Steps), GroupRun.Run(folder.Path, plan, chunked.Steps));
        AssertSame(a.LogitsOf(0), b.LogitsOf(0)[^2..], "chunked");
        Assert.Equal(a.TokensOf(0), b.TokensOf(0));
    }

    [Theory]
    [InlineData(1, false)]
    [InlineData(2, false)]
    [InlineData(3, true)]
    public void SequencesTogetherAreAsAlone(int ranks, bool useDeviceMap)
    {
        using var folder = new TemporaryFolder();
        TinyCheckpoint.Write(folder.Path, Model());
        var plan = GroupRun.Plan(folder.Path, ranks, DType.F32, useDeviceMap);
        int[][] prompts = [s_short, s_long, [9], s_long[3..20]];

        // They come and go; slot 1 is used again before slot 0 ends.
        var together = new StepScript(plan.Limits);
        together.Add(together.Prompt(1, prompts[0]), together.Prompt(0, prompts[1]));
        together.Add(together.Continue(0), together.Continue(1));
        together.Add(together.Prompt(4, prompts[2]), together.Continue(1), together.Continue(0));
        together.Add(together.Continue(4), together.Continue(0));
        together.Add(together.Prompt(1, prompts[3]), together.Continue(4), together.Continue(0));
        together.Add(together.Continue(0), together.Continue(1), together.Continue(4));
        var result = GroupRun.Run(folder.Path, plan, together.Steps);

        AssertSame(Alone(prompts[1], 6), result.LogitsOf(0), "slot 0");
        AssertSame([.. Alone(prompts[0], 3), .. Alone(prompts[3], 2)], result.LogitsOf(1), "slot 1");
        AssertSame(Alone(prompts[2], 4), result.LogitsOf(4), "slot 4");
        Assert.Equal([1, 0], result.Reported[0].Tokens.Select(t => t.Slot));

        float[][] Alone(int[] prompt, int tokens)
        {
            var script = new StepScript(plan.Limits);
            script.Add(script.Prompt(2, prompt));
            for (var i = 1; i < tokens; i++)
            {
                script.Add(script.Continue(2));
            }

            return GroupRun.Run(folder.Path, plan, script.Steps).LogitsOf(2);
        }
    }

    private static TinyCheckpointOptions Model(bool biases = false) => new()
    {
        Layers = 2,
        Hidden = 48,
        Vocab = 101,
        Heads = 4,
        KvHeads = 2,
        AttentionBias = biases,
        MlpBias = biases,
    };

    private static float[][] Logits(string folder, ExecutionPlan plan)
    {
        var script = new StepScript(plan.Limits);
        script.Add(script.Prompt(0, s_long), script.Prompt(2, s_short));
        script.Add(script.Continue(2), script.Continue(0));
        script.Add(script.Continue(0), script.Continue(2));
        var result = GroupRun.Run(folder, plan, script.Steps);
        return [.. result.LogitsOf(0), .. result.LogitsOf(2)];
    }

    private static void AssertSame(float[][] reference, float[][] actual, string what)
    {
        Assert.Equal(reference.Length, actual.Length);
        for (var i = 0; i < reference.Length; i++)
        {
            LogitAssert.Close(reference[i], actual[i], tolerance: 2e-5f, $"{what}, row {i}");
        }
    }
}
