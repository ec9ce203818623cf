using TensorParallel.Protocol.Parallel;
using Xunit;
using static TensorParallel.Protocol.Tests.Parallel.TpModels;

namespace TensorParallel.Protocol.Tests.Parallel;

public sealed class TpPlanResolverTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void TheFamilysOwnPlan_Composes(bool tied)
    {
        var spec = Llama(tied: tied, bias: true);

        var plan = TpPlan.OfArchitecture(spec)!.ResolveFor(spec);

        Assert.Empty(plan.Problems);
        Assert.Empty(plan.Obstacles);
        Assert.Equal("rowwise", plan.Styles["model.layers.1.self_attn.o_proj"].Name);
        Assert.Equal("replicate", plan.Styles["model.layers.1.input_layernorm"].Name);
        Assert.Equal("colwise_gather_output", plan.Styles["lm_head"].Name);
        Assert.Equal(tied ? "embedding_rowwise" : "replicate", plan.Styles["model.embed_tokens"].Name);
    }

    [Fact]
    public void GatheredAndSplit_ComposesToo()
    {
        var plan = Resolve(Llama(), """
            {
              "layers.*.self_attn.q_proj": "colwise_rep", "layers.*.self_attn.k_proj": "replicate",
              "layers.*.self_attn.v_proj": "rowwise_rep", "layers.*.self_attn.o_proj": "rowwise_split_input",
              "layers.*.mlp.gate_proj": "colwise_gather_output", "layers.*.mlp.up_proj": "colwise_gather_output",
              "layers.*.mlp.down_proj": "colwise_gather_output", "lm_head": "colwise", "embed_tokens": "rowwise"
            }
            """);

        Assert.Empty(plan.Problems);
        Assert.Empty(plan.Obstacles);
        Assert.Equal("embedding_rowwise", plan.Styles["model.embed_tokens"].Name);
    }

    [Fact]
    public void UnusedKeys_AreReportedWithTheNearestName()
    {
        var spec = Llama();

        var plan = Resolve(spec, AutoBut(
            spec,
            ("layers.*.self_attn.q_norm", "replicate"),
            ("model.layers.7.mlp.up_proj", "colwise"),
            ("wte", "rowwise")));

        Assert.Equal(
            [
                "\"layers.*.self_attn.q_norm\" names nothing in this model; did you mean layers.*.self_attn.q_proj?",
                "\"model.layers.7.mlp.up_proj\" names nothing in this model; did you mean layers.*.mlp.up_proj?",
                "\"wte\" names nothing in this model; write the path of a linear layer or of the embedding, with * " +
                "for the layer number.",
            ],
            plan.Problems);
        Assert.Empty(plan.Obstacles);
    }

    [Fact]
    public void AKeyThatMoreSpecificOnesReplaceEverywhere_IsNoMistake()
    {
        var spec = Llama();

        var plan = Resolve(spec, AutoBut(
            spec, ("layers.0.mlp.up_proj", "colwise"), ("layers.1.mlp.up_proj", "colwise")));

        Assert.Empty(plan.Problems);
    }

    [Fact]
    public void ABias_MustFollowItsWeight()
    {
        var spec = Llama(bias: true);

        var plan = Resolve(spec, AutoBut(spec, ("layers.*.self_attn.q_proj.bias", "replicate")));

        Assert.Equal(
            "\"layers.*.self_attn.q_proj.bias\": layers.*.self_attn.q_proj.bias must be cut as its weight is; leave " +
            "the key out.",
            Assert.Single(plan.Problems));
    }

    [Theory]
    [InlineData(
        "o_proj", "colwise",
        "layers.*.self_attn.o_proj: colwise takes whole rows, but it is fed with rows cut by heads; use rowwise.")]
    [InlineData(
        "o_proj", "rowwise_rep",
        "layers.*.self_attn.o_proj: rowwise_split_input takes whole rows, but it is fed with rows cut by heads; use " +
            "rowwise.")]
    [InlineData(
        "q_proj", "replicate",
        "layers.*.self_attn.q_proj: it and its neighbours must hand on rows cut alike, but the plan has q_proj " +
        "replicate, k_proj colwise, v_proj colwise; give them all colwise, or all colwise_gather_output.")]
    [InlineData(
        "k_proj", "rowwise",
        "layers.*.self_attn.k_proj: rowwise takes cut rows, but the norm before it hands on whole ones; use colwise " +
        "or rowwise_split_input.")]
    [InlineData(
        "v_proj", "packed_colwise",
        "layers.*.self_attn.v_proj: packed_colwise does not fit a plain linear layer; use colwise or rowwise.")]
    [InlineData(
        "v_proj", "embedding_rowwise",
        "layers.*.self_attn.v_proj: embedding_rowwise does not fit a plain linear layer; use colwise or rowwise.")]
    public void AttentionThatDoesNotCompose_IsExplained(string projection, string style, string expected)
    {
        var spec = Llama();

        var plan = Resolve(spec, AutoBut(spec, ($"layers.*.self_attn.{projection}", style)));

        Assert.Empty(plan.Problems);
        Assert.Equal(expected, plan.Obstacles[0]);
    }

    [Fact]
    public void ARowwiseLayerFedWithWholeRows_IsExplained()
    {
        var spec = Llama();

        var plan = Resolve(spec, AutoBut(
            spec, ("layers.*.mlp.gate_proj", "replicate"), ("layers.*.mlp.up_proj", "replicate")));

        Assert.Equal(
            "layers.*.mlp.down_proj: rowwise takes rows cut by columns, but it is fed with whole ones; use " +
            "rowwise_split_input, or colwise on the layers before it.",
            Assert.Single(plan.Obstacles));
    }

    [Fact]
    public void TheSameMistakeInSomeLayers_IsSaidOnce()
    {
        var spec = Llama(layers: 6);

        var plan = Resolve(spec, AutoBut(
            spec,
            ("layers.0.mlp.down_proj", "replicate"),
            ("layers.2.mlp.down_proj", "replicate"),
            ("layers.3.mlp.down_proj", "replicate"),
            ("layers.5.self_attn.o_proj", "replicate")));

        Assert.Equal(
            [
                "layers.{0, 2–3}.mlp.down_proj: replicate takes whole rows, but it is fed with rows cut by columns; " +
                "use rowwise.",
                "layers.5.self_attn.o_proj: replicate takes whole rows, but it is fed with rows cut by heads; use " +
                "rowwise.",
            ],
            plan.Obstacles);
    }

    [Fact]
    public void EmbeddingNormsAndHead_AreCheckedToo()
    {
        var spec = Llama();

        var plan = Resolve(spec, AutoBut(
            spec,
            ("embed_tokens", "colwise"),
            ("layers.*.input_layernorm", "colwise"),
            ("norm", "rowwise"),
            ("lm_head", "rowwise")));

        Assert.Equal(
            [
                "model.embed_tokens: colwise does not cut an embedding; use embedding_rowwise or replicate.",
                "layers.*.input_layernorm: colwise does not cut a norm; leave the key out.",
                "model.norm: rowwise does not cut a norm; leave the key out.",
                "lm_head: rowwise does not fit the output head, which is fed with whole rows; use " +
                "colwise_gather_output.",
            ],
            plan.Obstacles);
    }

    [Fact]
    public void APackedLayer_WantsThePackedStyle()
    {
        var spec = PackedGate(Llama());

        Assert.Equal(
            "layers.*.mlp.gate_proj: colwise would cut through its 2 stacked parts; use packed_colwise.",
            Assert.Single(Resolve(spec, AutoBut(spec)).Obstacles));
        Assert.Empty(Resolve(spec, AutoBut(spec, ("layers.*.mlp.gate_proj", "packed_colwise"))).Obstacles);
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("{ \"lm_head\": \"replicate\", \"norm\": \"replicate\" }")]
    public void APlanThatCutsNothing_IsRefused(string json) => Assert.Equal(
        "The tp plan cuts nothing: every rank would hold and compute the whole model; name the projections of " +
        "attention and MLP in it, or use \"auto\".",
        Assert.Single(Resolve(Llama(), json).Obstacles));

    [Fact]
    public void UnknownStyles_HideTheDataflow_ButNotTheOtherMistakes()
    {
        var spec = Llama();

        var plan = Resolve(spec, AutoBut(spec, ("layers.*.self_attn.q_proj", "local"), ("layers.*.mlp.up", "colwise")));

        Assert.Empty(plan.Obstacles);
        Assert.Equal(2, plan.Problems.Count);
        Assert.Matches("^\"layers.*.self_attn.q_proj\": \"local\" is no style; known are: ", plan.Problems[0]);
        Assert.Matches("^\"layers.*.mlp.up\" names nothing in this model; ", plan.Problems[1]);
    }

    [Fact]
    public void OneEndOfATiedPair_TakesTheOtherAlong()
    {
        var headOnly = Resolve(Llama(tied: true), """{ "lm_head": "colwise_rep" }""");
        var embeddingOnly = Resolve(Llama(tied: true), """{ "embed_tokens": "embedding_rowwise" }""");

        foreach (var plan in new[] { headOnly, embeddingOnly })
        {
            Assert.Empty(plan.Problems);
            Assert.Empty(plan.Obstacles);
            Assert.Equal("embedding_rowwise", plan.Styles["model.embed_tokens"].Name);
            Assert.Equal("colwise_gather_output", plan.Styles["lm_head"].Name);
        }

        Assert.Contains(headOnly.Notes, note => note.StartsWith("model.embed_tokens is the table of lm_head " +
            "too", StringComparison.Ordinal));
    }

    [Fact]
    public void ATiedPairCutDifferently_IsExplained()
    {
        var spec = Llama(tied: true);

        Assert.Equal(
            "lm_head: it is one table with model.embed_tokens, but rowwise_split_input and embedding_rowwise cut it " +
            "differently; use colwise_gather_output with embedding_rowwise, or replicate for both.",
            Assert.Single(Resolve(spec, AutoBut(spec, ("lm_head", "rowwise_rep"))).Obstacles));
    }
}
