using System.Text.Json;
using TensorParallel.Coordinator.Planning;
using TensorParallel.Protocol.Architectures;
using Xunit;

namespace TensorParallel.Coordinator.Tests.Planning;

public sealed class PlanPrinterTests
{
    [Fact]
    public void Cuts_AreShownPerRank_WithTheirHeads()
    {
        var spec = PlanCases.Llama();
        var rows = PlanRows.Of(spec, Planner.Plan(PlanCases.OnCpus(spec, 3)));

        Assert.Equal(
            ["rows 0–191 (heads 0–2)", "rows 192–383 (heads 3–5)", "rows 384–511 (heads 6–7)"],
            rows.Where(row => row.Module == "layers.*.self_attn.q_proj").Select(row => row.Cut));
        Assert.Equal(
            ["rows 0–63 (head 0)", "rows 0–127 (heads 0–1)", "rows 64–127 (head 1)"],
            rows.Where(row => row.Module == "layers.*.self_attn.v_proj").Select(row => row.Cut));
        Assert.Equal(
            ["columns 0–63", "columns 64–127", "columns 128–175"],
            rows.Where(row => row.Module == "layers.*.mlp.down_proj").Select(row => row.Cut));
        Assert.Equal(new PlanRow("norm", "replicate", "all", "whole", 128), rows.Single(row => row.Module == "norm"));
    }

    [Fact]
    public void LayersThatAreCutDifferently_HaveRowsOfTheirOwn()
    {
        var spec = PlanCases.Llama(layers: 5);
        var tpPlan = new Dictionary<string, string>(spec.BaseTpPlan!)
        {
            ["layers.1.mlp.gate_proj"] = "colwise_rep",
            ["layers.1.mlp.up_proj"] = "colwise_rep",
            ["layers.1.mlp.down_proj"] = "rowwise_rep",
        };
        var plan = Planner.Plan(PlanCases.OnCpus(spec, 2) with { TpPlan = JsonSerializer.Serialize(tpPlan) });

        var modules = PlanRows.Of(spec, plan).Select(row => row.Module).Distinct();

        Assert.Contains("layers.{0, 2–4}.mlp.gate_proj", modules);
        Assert.Contains("layers.1.mlp.gate_proj", modules);
        Assert.Equal(
            [
                "Collectives in layers.{0, 2–4}: 2 all-reduce (self_attn.o_proj, mlp.down_proj).",
                "Collectives in layers.1: 2 all-reduce (self_attn.o_proj, mlp.down_proj), 2 all-gather " +
                "(mlp.gate_proj, mlp.up_proj).",
                "Collectives at the ends: 1 all-gather (lm_head).",
            ],
            CollectiveText.Of(spec, plan));
    }

    [Fact]
    public void NamesFromFiles_AreNotMarkup()
    {
        var spec = PlanCases.Llama();
        var hostile = spec with { FinalNorm = new NormSpec("model.[red]norm[/", 64, 1e-6f) };
        using var text = new StringWriter();

        new PlanPrinter(PlanPrinter.Plain(text)).Print("[bold]x", hostile, Planner.Plan(PlanCases.OnCpus(hostile, 2)));

        Assert.Contains("[red]norm[/", text.ToString());
        Assert.StartsWith("[bold]x: llama, 2 layers", text.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain('\u001b', text.ToString());
    }

    [Theory]
    [InlineData(0, "0 B")]
    [InlineData(1023, "1023 B")]
    [InlineData(1024, "1.0 KiB")]
    [InlineData(16_060_522_496, "15.0 GiB")]
    [InlineData((1L << 30) - 1, "1.0 GiB")]
    [InlineData(150L << 20, "150 MiB")]
    [InlineData(5L << 50, "5120 TiB")]
    public void Bytes_HaveAUnit(long bytes, string expected) => Assert.Equal(expected, ByteText.Of(bytes));
}
