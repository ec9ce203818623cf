using TensorParallel.Protocol.Parallel;
using TensorParallel.TestKit;
using Xunit;

namespace TensorParallel.Protocol.Tests.Parallel;

public sealed class TpPlanTests
{
    [Theory]
    [InlineData("layers.*.self_attn.q_proj")]
    [InlineData("model.layers.*.self_attn.q_proj")]
    [InlineData("model.layers.3.self_attn.q_proj")]
    [InlineData("layers.3.self_attn.q_proj.weight")]
    [InlineData("model.layers.*.self_attn.q_proj.weight")]
    public void Keys_MatchModulesAndParameters_WithAndWithoutPrefix(string key)
    {
        var plan = Plan((key, "colwise"));

        Assert.Equal("colwise", plan.Match("model.layers.3.self_attn.q_proj.weight")?.Style?.Name);
        Assert.Null(plan.Match("model.layers.3.self_attn.k_proj.weight"));
        Assert.Null(plan.Match("model.layers.3.self_attn.q_proj.extra.weight"));
    }

    [Theory]
    [InlineData("layers.*.mlp.w1", "model.layers.0.mlp.w2.weight")]
    [InlineData("layers.*.mlp.w1", "model.layers.x.mlp.w1.weight")]
    [InlineData("layers.1.mlp.w1", "model.layers.11.mlp.w1.weight")]
    [InlineData("layers.*", "model.layers.0.mlp.w1.weight")]
    [InlineData("*", "lm_head.weight")]
    public void Keys_DoNotMatchMore(string key, string parameter) =>
        Assert.Null(Plan((key, "colwise")).Match(parameter));

    [Fact]
    public void TheMostSpecificKey_Wins()
    {
        var plan = Plan(
            ("layers.*.mlp.up_proj", "colwise"),
            ("layers.2.mlp.up_proj", "replicate"),
            ("layers.*.mlp.up_proj.bias", "rowwise"),
            ("layers.2.mlp.up_proj.bias", "colwise_rep"));

        Assert.Equal("colwise", plan.Match("model.layers.1.mlp.up_proj.weight")?.Style?.Name);
        Assert.Equal("replicate", plan.Match("model.layers.2.mlp.up_proj.weight")?.Style?.Name);
        Assert.Equal("rowwise", plan.Match("model.layers.1.mlp.up_proj.bias")?.Style?.Name);
        Assert.Equal("colwise_gather_output", plan.Match("model.layers.2.mlp.up_proj.bias")?.Style?.Name);
    }

    [Fact]
    public void AParameterKey_BeatsAnIndexedModuleKey()
    {
        var plan = Plan(("layers.2.mlp.up_proj", "replicate"), ("layers.*.mlp.up_proj.weight", "colwise"));

        Assert.Equal("colwise", plan.Match("model.layers.2.mlp.up_proj.weight")?.Style?.Name);
    }

    [Fact]
    public void AFile_IsRead()
    {
        using var folder = new TemporaryFolder();
        var path = folder.File("plan.json");
        File.WriteAllText(path, """{ "lm_head": "colwise_rep" }""");

        var plan = TpPlan.Read(path);

        Assert.Equal(path, plan.Source);
        Assert.Equal("colwise_gather_output", plan.Match("lm_head.weight")?.Style?.Name);
        Assert.Empty(plan.Problems);
    }

    [Theory]
    [InlineData(
        "no-such.json",
        "The tp plan \"no-such.json\" is neither \"auto\", nor an inline JSON object, nor a file that exists.")]
    [InlineData("{ \"a\": \"colwise\", \"a\": \"rowwise\" }", "The inline tp plan: not valid JSON")]
    [InlineData("{ \"a\": ", "The inline tp plan: not valid JSON")]
    [InlineData("{ } ]", "The inline tp plan: not valid JSON")]
    public void UnreadableText_IsOneSentence(string text, string expected)
    {
        var exception = Assert.Throws<PlanException>(() => TpPlan.Read(text));

        Assert.StartsWith(expected, exception.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', exception.Message);
    }

    [Fact]
    public void EntriesInError_AreAllReported()
    {
        var plan = TpPlan.Read("""
            {
              "layers.*.mlp.up_proj": "colwize", "layers..mlp": "colwise", "layers.q_*.x": "colwise",
              "lm_head": 3, "model.norm": "replicate", "norm": "replicate"
            }
            """);

        const string Known = "colwise, colwise_gather_output, colwise_rep, embedding_rowwise, packed_colwise, " +
            "replicate, replicated_with_grad_allreduce, rowwise, rowwise_rep, rowwise_split_input";
        Assert.Equal(
            [
                $"\"lm_head\": \"3\" is not a style name in quotes; known are: {Known}.",
                $"\"layers.*.mlp.up_proj\": \"colwize\" is no style; known are: {Known}. Did you mean colwise?",
                "\"layers..mlp\": the key has an empty name between dots; write it like layers.*.self_attn.q_proj.",
                "\"layers.q_*.x\": a * stands for a whole layer number, not for a part of a name.",
                "\"norm\" and \"model.norm\" name the same; keep one of them.",
            ],
            plan.Problems);
    }

    private static TpPlan Plan(params (string Key, string Style)[] entries) =>
        TpPlanReader.FromEntries("test", entries.Select(entry => KeyValuePair.Create(entry.Key, entry.Style)));
}
