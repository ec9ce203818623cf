using System.Text.Json.Nodes;
using NJsonSchema;
using TensorParallel.Protocol.Parallel;
using TensorParallel.TestKit;
using Xunit;

namespace TensorParallel.Protocol.Tests.Parallel;

public sealed class PlanJsonTests
{
    private static readonly string s_schemaPath =
        Path.Combine(RepositoryPaths.Root, "src", "Protocol", "Parallel", "plan.schema.json");

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void WrittenAndReadBack_IsTheSame(bool indented)
    {
        foreach (var plan in new[] { SamplePlan.TensorParallel, SamplePlan.DeviceMap, SamplePlan.Offloaded })
        {
            var json = PlanJson.Serialize(plan, indented);
            var read = PlanJson.Deserialize(json);

            Assert.Equal(json, PlanJson.Serialize(read, indented));
            Assert.Equivalent(plan, read, strict: true);
        }
    }

    [Fact]
    public void Names_AreThoseThatClientsKnow()
    {
        var plan = JsonNode.Parse(PlanJson.Serialize(SamplePlan.TensorParallel))!;

        Assert.Equal("tensor_parallel", (string?)plan["mode"]);
        Assert.Equal(2, (int?)plan["world_size"]);
        Assert.Empty(plan["fallback_reasons"]!.AsArray());
        Assert.Null(plan["device_map"]);
        Assert.Equal("bfloat16", (string?)plan["dtype"]);
        Assert.Equal(2048, (int?)plan["limits"]!["kv_blocks"]);
        var rank = plan["ranks"]![1]!;
        Assert.Equal((1, "cuda:1"), ((int?)rank["rank"], (string?)rank["device"]));
        Assert.Equal(70_000_000_001, (long?)rank["weight_bytes"]);
        var tensor = rank["tensors"]![2]!;
        Assert.Equal(("packed_colwise", 0), ((string?)tensor["style"], (int?)tensor["dim"]));
        Assert.Equal(16384, (long?)tensor["bytes"]);
        Assert.Equal("[[128,256],[384,512]]", tensor["ranges"]!.ToJsonString());
        Assert.Null(rank["tensors"]![0]!["dim"]);
        Assert.Equal("1", (string?)JsonNode.Parse(PlanJson.Serialize(SamplePlan.DeviceMap))!["device_map"]!["lm_head"]);
    }

    [Fact]
    public async Task Plans_ObeyTheSchema()
    {
        var schema = await JsonSchema.FromFileAsync(s_schemaPath, TestContext.Current.CancellationToken);

        Assert.Empty(schema.Validate(PlanJson.Serialize(SamplePlan.TensorParallel)));
        Assert.Empty(schema.Validate(PlanJson.Serialize(SamplePlan.DeviceMap)));
        Assert.Empty(schema.Validate(PlanJson.Serialize(SamplePlan.Offloaded)));
    }

    [Theory]
    [InlineData("mode", "\"pipeline\"")]
    [InlineData("device_map", "3")]
    [InlineData("device_map", "{\"lm_head\": \"nowhere\"}")]
    [InlineData("device_map_budget", "{\"0\": \"1\"}")]
    [InlineData("limits.kv_blocks", "0")]
    [InlineData("ranks.0.tensors.1.dim", "2")]
    [InlineData("ranks.0.tensors.1.ranges", "[[0]]")]
    [InlineData("ranks.0.tensors.1.style", "\"sideways\"")]
    [InlineData("ranks.1.extra", "1")]
    public async Task TheSchema_RefusesWhatIsNotAPlan(string path, string json)
    {
        var schema = await JsonSchema.FromFileAsync(s_schemaPath, TestContext.Current.CancellationToken);

        Assert.NotEmpty(schema.Validate(Changed(path, json)));
    }

    [Theory]
    [InlineData("mode", "\"pipeline\"", "plan.mode: \"pipeline\" is neither tensor_parallel nor device_map.")]
    [InlineData("dtype", "\"int32\"", "plan.dtype: \"int32\" is not float32, bfloat16 or float16.")]
    [InlineData("world_size", "3", "plan.ranks: there are 2 for a world_size of 3.")]
    [InlineData("world_size", "1e9", "plan.world_size: \"1e9\" is not a whole number from 1 to 4096.")]
    [InlineData("device_map", "{}", "plan.device_map: it must be there in the mode device_map, and null otherwise.")]
    [InlineData("device_map_budget", "3", "plan.device_map_budget: it is neither an object nor null.")]
    [InlineData("limits.kv_blocks", "-1", "plan.limits.kv_blocks: \"-1\" is not a whole number from 1 to 1073741824.")]
    [InlineData("limits.more", "1", "plan.limits.more: the key is unknown.")]
    [InlineData("notes", "[1]", "plan.notes: \"1\" is not a string.")]
    [InlineData("ranks.1.rank", "0", "plan.ranks: entry 1 is of rank 0.")]
    [InlineData("ranks.1.layers", "[3, 2]", "plan.ranks[1].layers: \"2\" is not a whole number from 3 to 2147483647.")]
    [InlineData(
        "ranks.1.weight_bytes",
        "1.5",
        "plan.ranks[1].weight_bytes: \"1.5\" is not a whole number from 0 to 9223372036854775807.")]
    [InlineData("ranks.0.has_embedding", "\"yes\"", "plan.ranks[0].has_embedding: it is neither true nor false.")]
    [InlineData("ranks.0.tensors.1.style", "\"x\"", "plan.ranks[0].tensors[1].style: \"x\" is no style.")]
    [InlineData(
        "ranks.0.tensors.1.dim", "2", "plan.ranks[0].tensors[1].dim: \"2\" is not a whole number from 0 to 1.")]
    [InlineData(
        "ranks.0.tensors.1.dim",
        "null",
        "plan.ranks[0].tensors[1].ranges: they must be there when dim is, and empty when it is null.")]
    [InlineData(
        "ranks.0.tensors.1.ranges",
        "[[-1, 2]]",
        "plan.ranks[0].tensors[1].ranges: \"-1\" is not a whole number from 0 to 2147483647.")]
    [InlineData(
        "ranks.0.tensors.1.name",
        "\"model.norm.weight\"",
        "plan.ranks[0].tensors: tensor \"model.norm.weight\" is there 2 times.")]
    public void WhatIsNotAPlan_IsRefusedByKey(string path, string json, string expected) =>
        Assert.Equal(expected, Assert.Throws<PlanException>(() => PlanJson.Deserialize(Changed(path, json))).Message);

    [Theory]
    [InlineData("mode")]
    [InlineData("ranks.1.device")]
    [InlineData("ranks.0.tensors.2.bytes")]
    [InlineData("limits")]
    public void AMissingKey_IsNamed(string path)
    {
        var message = Assert.Throws<PlanException>(() => PlanJson.Deserialize(Changed(path, null))).Message;

        Assert.EndsWith($"{path.Split('.')[^1]}: the key is missing.", message, StringComparison.Ordinal);
    }

    [Fact]
    public void Offloading_HasTheWordsThatPeopleKnow()
    {
        var ranks = JsonNode.Parse(PlanJson.Serialize(SamplePlan.Offloaded))!["ranks"]!;

        Assert.Null(ranks[0]!["offload"]);
        Assert.Null(ranks[0]!["budget_bytes"]);
        Assert.Equal(8L << 30, (long)ranks[1]!["budget_bytes"]!);
        Assert.Equal(
            """{"kind":"group","blocks_per_group":2,"slots":3,"slot_bytes":536870912,"modules":[{"name":"model.layers.0","residency":"disk","bytes":1000},{"name":"lm_head","residency":"cpu","bytes":2000}]}""",
            ranks[1]!["offload"]!.ToJsonString());
        var offload = SamplePlan.Offloaded.Ranks[1].Offload!;
        Assert.Equal((2000, 1000, 3L << 29), (offload.HostBytes, offload.DiskBytes, offload.StagingBytes));
        Assert.Equal(
            (Residency.Disk, Residency.Host, Residency.Device),
            (offload.ResidencyOf("model.layers.0"), offload.ResidencyOf("lm_head"), offload.ResidencyOf("model.layers.1")));
    }

    [Theory]
    [InlineData("\"kind\":\"group\"", "\"kind\":\"groups\"", "plan.ranks[1].offload.kind: \"groups\" is none of model, sequential, group.")]
    [InlineData("\"slots\":3", "\"slots\":0", "plan.ranks[1].offload.slots: \"0\" is not a whole number from 1 to 64.")]
    [InlineData("\"slots\":3,", "", "plan.ranks[1].offload.slots: the key is missing.")]
    [InlineData("\"slots\":3", "\"slots\":3,\"stream\":true", "plan.ranks[1].offload.stream: the key is unknown.")]
    [InlineData("\"blocks_per_group\":2", "\"blocks_per_group\":-1", "plan.ranks[1].offload.blocks_per_group: \"-1\" is not a whole number from 1 to 1073741824.")]
    [InlineData("\"residency\":\"cpu\"", "\"residency\":\"device\"", "plan.ranks[1].offload.modules[1].residency: \"device\" is neither cpu nor disk.")]
    [InlineData("\"name\":\"model.layers.0\"", "\"name\":\"lm_head\"", "plan.ranks[1].offload.modules: a module is there more than once.")]
    [InlineData("\"residency\":\"cpu\"", "\"residency\":\"disk\"", "plan.device_map: \"lm_head\" is on \"cpu\", which is no rank's device.")]
    [InlineData("\"budget_bytes\":8589934592", "\"budget_bytes\":\"all\"", "plan.ranks[1].budget_bytes: \"\"all\"\" is not a whole number from 0 to 9223372036854775807.")]
    public void OffloadingThatIsNotSound_IsRefusedByKey(string sound, string changed, string expected)
    {
        var json = PlanJson.Serialize(SamplePlan.Offloaded);
        Assert.Contains(sound, json, StringComparison.Ordinal);

        Assert.Equal(
            expected, Assert.Throws<PlanException>(() => PlanJson.Deserialize(json.Replace(sound, changed, StringComparison.Ordinal))).Message);
    }

    [Fact]
    public void AModuleOnNoRank_IsRefused()
    {
        var json = PlanJson.Serialize(SamplePlan.DeviceMap).Replace("\"lm_head\":\"1\"", "\"lm_head\":\"2\"");

        Assert.Equal(
            "plan.device_map: \"lm_head\" is on \"2\", which is no rank's device.",
            Assert.Throws<PlanException>(() => PlanJson.Deserialize(json)).Message);
    }

    [Fact]
    public void DamagedText_IsRefusedOrReadsAsAPlan_AndNothingElse()
    {
        var seed = Random.Shared.Next();
        var random = new Random(seed);
        var json = PlanJson.Serialize(SamplePlan.TensorParallel);
        const string Letters = "{}[]\",:0123456789-.e\\ nulltrue";
        var refused = 0;
        for (var i = 0; i < 3000; i++)
        {
            var damaged = json.ToCharArray();
            for (var changes = random.Next(1, 4); changes > 0; changes--)
            {
                damaged[random.Next(damaged.Length)] = Letters[random.Next(Letters.Length)];
            }

            try
            {
                _ = PlanJson.Deserialize(new string(damaged));
            }
            catch (PlanException)
            {
                refused++;
            }
            catch (Exception e)
            {
                Assert.Fail($"seed {seed}, case {i}: {e}");
            }
        }

        Assert.True(refused > 1000, $"seed {seed}: only {refused} were refused.");
    }

    // The sample with one value replaced, added or (null) taken away.
    private static string Changed(string path, string? json)
    {
        var plan = JsonNode.Parse(PlanJson.Serialize(SamplePlan.TensorParallel))!;
        var keys = path.Split('.');
        var parent = keys[..^1].Aggregate(plan, (node, key) => int.TryParse(key, out var i) ? node[i]! : node[key]!);
        if (json is null)
        {
            Assert.True(parent.AsObject().Remove(keys[^1]));
        }
        else
        {
            parent[keys[^1]] = JsonNode.Parse(json);
        }

        return plan.ToJsonString();
    }
}
