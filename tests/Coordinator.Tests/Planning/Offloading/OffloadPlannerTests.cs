using TensorParallel.Coordinator.Planning;
using TensorParallel.Coordinator.Planning.DeviceMaps;
using TensorParallel.Coordinator.Planning.Offloading;
using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Parallel;
using Xunit;

namespace TensorParallel.Coordinator.Tests.Planning.Offloading;

/// <summary>What ranks have off their devices: examples, and properties over random budgets.</summary>
public sealed class OffloadPlannerTests
{
    [Fact]
    public void WhatFits_StaysOnTheDevices()
    {
        var plan = Planner.Plan(Request(PlanCases.Llama(layers: 8), "0=64MiB,1=64MiB,cpu=1GiB"));

        Assert.All(plan.Ranks, rank => Assert.Null(rank.Offload));
    }

    [Fact]
    public void TheEmbeddingLeavesFirst_AndNeedsNoSlot()
    {
        var request = Request(PlanCases.Llama(layers: 8, vocabulary: 4096), "0=64MiB,cpu=1GiB");
        var whole = Total(Planner.Plan(request with { Limits = request.Limits with { KvBlocks = 4 } }).Ranks[0]);

        var rank = Planner.Plan(request with { MaxMemory = Budgets($"0={whole - 1}B,cpu=1GiB"), Devices = Devices($"0={whole - 1}B") }).Ranks[0];

        Assert.Equal([new OffloadedModule("model.embed_tokens", Residency.Host, 4096 * 64 * 2)], rank.Offload!.Modules);
        Assert.Equal((1, 0, 0), (rank.Offload.Slots, rank.Offload.SlotBytes, OffloadPlanner.BusBytes(request.Spec, rank)));
    }

    [Fact]
    public void BlocksLeaveEvenlySpread_TheHeadStays()
    {
        var plan = Planner.Plan(EstimateCases.Request("llama-3.1-8b", "0=8GiB,cpu=64GiB") with { UseDeviceMap = false });

        var offload = plan.Ranks[0].Offload!;
        Assert.Equal((OffloadKind.Group, 1, 2, 436_224_000), (offload.Kind, offload.BlocksPerGroup, offload.Slots, offload.SlotBytes));
        var layers = offload.Modules.Skip(1).Select(module => int.Parse(module.Name.Split('.')[^1], null)).ToList();
        Assert.Equal("model.embed_tokens", offload.Modules[0].Name);
        Assert.Equal(31, layers[^1]);
        Assert.All(layers.Zip(layers.Skip(1), (a, b) => b - a), gap => Assert.InRange(gap, 1, 2));
        Assert.Contains(plan.Notes, note => note.Contains("through 2 slots of 416 MiB", StringComparison.Ordinal));
    }

    [Fact]
    public void ATiedTable_LeavesAsTheHead_AndIsCountedOnce()
    {
        var spec = PlanCases.Llama(layers: 2, vocabulary: 65536, tied: true);
        var rank = Planner.Plan(Request(spec, null, new OffloadRequest(OffloadKind.Model))).Ranks[0];

        var table = 65536 * 64 * 2;
        Assert.Equal(["model.embed_tokens", "model.layers.0", "model.layers.1", "lm_head"], rank.Offload!.Modules.Select(m => m.Name));
        Assert.Equal((table, 0), (rank.Offload.Modules[0].Bytes, rank.Offload.Modules[^1].Bytes));
        Assert.Equal(rank.Offload.HostBytes, OffloadPlanner.BusBytes(spec, rank));
        Assert.Equal((1, table), (rank.Offload.Slots, rank.Offload.SlotBytes));

        // The final norm stays: 64 numbers.
        Assert.Equal(128, rank.WeightBytes);
    }

    [Theory]
    [InlineData(OffloadKind.Model, null, 1, 6)]
    [InlineData(OffloadKind.Sequential, null, 1, 1)]
    [InlineData(OffloadKind.Group, null, 2, 1)]
    [InlineData(OffloadKind.Group, 4, 2, 4)]
    public void WithoutBudgets_EverythingThatTheKindCoversIsOff(OffloadKind kind, int? blocks, int slots, int slotBlocks)
    {
        var spec = PlanCases.Llama(layers: 6);
        var rank = Planner.Plan(Request(spec, null, new OffloadRequest(kind, blocks))).Ranks[0];

        var block = StageWeights.Of(spec, rank).Blocks[0].SlotBytes;
        Assert.Equal((slots, slotBlocks * block), (rank.Offload!.Slots, rank.Offload.SlotBytes));
        Assert.Equal(8, rank.Offload.Modules.Count);
        Assert.All(rank.Offload.Modules, module => Assert.Equal(Residency.Host, module.Residency));
    }

    [Fact]
    public void AHeadWhoseSlotsTakeMoreThanItself_Stays()
    {
        var spec = PlanCases.Public("llama-3.1-8b");

        var group = Planner.Plan(PlanCases.OnCpus(spec, 1) with { Offload = new(OffloadKind.Group) }).Ranks[0].Offload!;
        var sequential = Planner.Plan(PlanCases.OnCpus(spec, 1) with { Offload = new(OffloadKind.Sequential) }).Ranks[0].Offload!;

        Assert.Equal((Residency.Device, 436_224_000), (group.ResidencyOf("lm_head"), group.SlotBytes));
        Assert.Equal((Residency.Host, 1_050_673_152), (sequential.ResidencyOf("lm_head"), sequential.SlotBytes));
    }

    [Fact]
    public void HostMemory_IsSharedByTheRanks_AndTheEmbeddingIsFirstInFiles()
    {
        var plan = Planner.Plan(
            EstimateCases.Request("llama-3.1-8b", "0=4GiB,1=4GiB,cpu=5GiB,disk=64GiB") with { UseDeviceMap = false });

        Assert.Equal(plan.Ranks[0].Offload!.Modules, plan.Ranks[1].Offload!.Modules);
        var offload = plan.Ranks[0].Offload!;
        Assert.Equal(Residency.Disk, offload.ResidencyOf("model.embed_tokens"));
        Assert.InRange(2 * offload.HostBytes, (5L << 30) - (2 * 218_112_000), 5L << 30);
    }

    [Theory]
    [InlineData("0=8GiB", "or let weights lie in host memory: --max-memory …,cpu=…")]
    [InlineData("0=8GiB,cpu=2GiB", "8.3 GiB of weights do not fit on the devices, and not beside them either (cpu 2.0 GiB): ")]
    [InlineData("0=300MiB,cpu=64GiB", "must have lm_head on its device to compute it, which takes 1002 MiB, but its budget is 300 MiB")]
    [InlineData("0=1200MiB,cpu=64GiB", "1002 MiB for a slot that the others come through")]
    public void WhatDoesNotFit_IsSaidWithNumbers(string memory, string expected)
    {
        var request = EstimateCases.Request("llama-3.1-8b", memory) with { UseDeviceMap = false };

        Assert.Contains(expected, Assert.Throws<PlanException>(() => Planner.Plan(request)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("0=8GiB,cpu=64GiB", "auto", 1)]
    [InlineData("0=8GiB,cpu=6GiB", "sequential", 1)]
    [InlineData("0=16GiB,1=16GiB,cpu=64GiB", "MIDDLE", 2)]
    public void Maps_RunAsTheySay(string memory, string deviceMap, int ranks)
    {
        var middle = "{\"model.embed_tokens\": 0, \"model.rotary_emb\": 0, \"model.norm\": 1, \"lm_head\": 1, " + string.Join(
            ", ", Enumerable.Range(0, 32).Select(layer => $"\"model.layers.{layer}\": \"{(layer < 8 ? "0" : layer < 20 ? "cpu" : "1")}\"")) + "}";
        var map = DeviceMapPlan.Make(EstimateCases.Request("llama-3.1-8b", memory, deviceMap == "MIDDLE" ? middle : deviceMap), []);

        var off = map.Placed.Map.Entries.Where(entry => entry.Value is "cpu" or "disk").ToList();
        Assert.Equal("", map.Obstacle);
        Assert.NotEmpty(off);
        Assert.Equal(ranks, map.Plan!.WorldSize);
        var rank = map.Plan.Ranks[0];
        Assert.Equal(
            off.Where(entry => entry.Key.StartsWith("model.layers.", StringComparison.Ordinal) || entry.Key == "lm_head"),
            rank.Offload!.Modules.Select(module => KeyValuePair.Create(module.Name, ResidencyNames.NameOf(module.Residency))));
        Assert.Equal(new IndexRange(0, ranks == 2 ? 20 : 32), rank.Layers);
        Assert.All(map.Plan.Ranks.Skip(1), other => Assert.Null(other.Offload));
        Assert.Equivalent(map.Plan, PlanJson.Deserialize(PlanJson.Serialize(map.Plan)), strict: true);
    }

    [Fact]
    public void AMapThatLeavesNoRoomForTheCache_SaysWhatIsMissing_AndThatFitWouldNot() => Assert.Contains(
        "are missing; give --device-map fit, which leaves room for them",
        DeviceMapPlan.Make(EstimateCases.Request("llama-3.1-8b", "0=6GiB,1=6GiB,cpu=16GiB", "sequential"), []).Obstacle,
        StringComparison.Ordinal);

    [Theory]
    [InlineData("""{ "model.embed_tokens": "cpu", "model.layers": 0, "model.norm": 0, "model.rotary_emb": 0, "lm_head": "disk" }""")]
    [InlineData("""{ "": "cpu" }""")]
    public void CustomMaps_MayLeaveAnythingBesideTheDevices(string json)
    {
        var plan = DeviceMapPlan.Make(EstimateCases.Request("llama-3.1-8b", "0=40GiB,cpu=64GiB", json), []).Plan!;

        var rank = Assert.Single(plan.Ranks);
        Assert.Equal((new IndexRange(0, 32), true, true), (rank.Layers, rank.HasEmbedding, rank.HasOutputHead));
        Assert.NotEqual(Residency.Device, rank.Offload!.ResidencyOf("model.embed_tokens"));
        Assert.NotEqual(Residency.Device, rank.Offload.ResidencyOf("lm_head"));
    }

    [Fact]
    public void RandomBudgets_AreNeverExceeded_AndMoreMemoryNeverSpillsMore()
    {
        var seed = Random.Shared.Next();
        var random = new Random(seed);
        var (spilled, refused) = (0, 0);
        for (var i = 0; i < 80; i++)
        {
            var what = $"seed {seed}, case {i}";
            var spec = PlanCases.Llama(
                layers: random.Next(1, 12), vocabulary: 256 * random.Next(1, 20), tied: random.Next(2) == 0, mlpBias: random.Next(2) == 0);
            var offload = RandomOffload(random);
            var ranks = random.Next(1, 4);
            var deviceMap = random.Next(2) == 0;
            var (moved, last) = (long.MaxValue, -1L);
            for (var budget = random.Next(300, 900) * 1024L; budget < 6 << 20; budget += random.Next(50, 900) * 1024L)
            {
                var host = random.Next(2) == 0 ? 64 << 20 : random.Next(100, 3000) * 1024L;
                var memory = string.Join(',', Enumerable.Range(0, ranks).Select(rank => $"{rank}={budget}B")) +
                    $",cpu={host}B,disk=64MiB";
                ExecutionPlan plan;
                try
                {
                    plan = Planner.Plan(Request(spec, memory, offload) with { UseDeviceMap = deviceMap });
                }
                catch (PlanException)
                {
                    Assert.True(last < 0, $"{what}: {budget} is refused, {last} was not.");
                    refused++;
                    continue;
                }

                Check(spec, plan, budget, host, what);
                var bytes = plan.Ranks.Max(rank => OffloadPlanner.BusBytes(spec, rank));

                // With two slots, where one fitted before, more may move; and a stage of another cut may move more than this one.
                Assert.True(bytes <= moved || deviceMap || offload.SlotCounts.Count > 1, $"{what}: {bytes} move with {budget}, {moved} with {last}.");
                (moved, last) = (bytes, budget);
                spilled += bytes > 0 ? 1 : 0;
            }
        }

        Assert.True(spilled > 30 && refused > 30, $"{spilled} spilled, {refused} refused.");
    }

    private static void Check(ModelSpec spec, ExecutionPlan plan, long budget, long host, string what)
    {
        Assert.True(plan.Ranks.Sum(rank => rank.Offload?.HostBytes ?? 0) <= host, what);
        foreach (var rank in plan.Ranks)
        {
            Assert.True(Total(rank) <= budget, $"{what}: {Total(rank)} of {budget}");
            Assert.Equal(budget, rank.BudgetBytes);
            var offload = rank.Offload;
            var off = offload is null ? 0 : offload.HostBytes + offload.DiskBytes;
            Assert.Equal(rank.Tensors.Sum(tensor => tensor.Bytes), rank.WeightBytes + off);
            if (offload is not null)
            {
                var groups = OffloadGroups.Of(spec, offload.Kind, offload.BlocksPerGroup, offload.Modules, rank.Tensors);
                Assert.Equal(groups.Select(group => group.Bytes).DefaultIfEmpty().Max(), offload.SlotBytes);
                Assert.InRange(offload.Slots, 1, Math.Max(1, groups.Count));
                var blocks = spec.Blocks.Skip(rank.Layers.Start).Take(rank.Layers.Length).Select(block => block.Name);
                Assert.Empty(offload.Modules.Select(m => m.Name).Except(blocks.Append(spec.Embedding.Name).Append(spec.OutputHead.Name)));
            }
        }

        Assert.Equal(
            ModelSpecTensors.Of(spec).Select(tensor => tensor.Name).Order(),
            plan.Ranks.SelectMany(rank => rank.Tensors.Select(tensor => tensor.Name)).Distinct().Order());
        var json = PlanJson.Serialize(plan);
        Assert.Equal(json, PlanJson.Serialize(PlanJson.Deserialize(json)));
    }

    private static OffloadRequest RandomOffload(Random random) => random.Next(4) switch
    {
        0 => new OffloadRequest(OffloadKind.Model),
        1 => new OffloadRequest(OffloadKind.Sequential),
        2 => new OffloadRequest(OffloadKind.Group, random.Next(1, 4), random.Next(1, 4)),
        _ => new OffloadRequest(),
    };

    private static long Total(RankPlan rank) =>
        rank.WeightBytes + rank.KvBytes + rank.WorkspaceBytes + (rank.Offload?.StagingBytes ?? 0);

    private static PlanRequest Request(ModelSpec spec, string? memory, OffloadRequest? offload = null) =>
        PlanCases.OnCpus(spec, 1) with
        {
            Devices = memory is null ? PlanDevice.Cpus(1) : Devices(memory),
            MaxMemory = memory is null ? null : Budgets(memory),
            Offload = offload ?? new OffloadRequest(),
            Limits = new LimitsRequest(MaxStepTokens: 16, MaxSequences: 2, MaxContextTokens: 64),
        };

    private static IReadOnlyList<DeviceBudget> Budgets(string memory) => MaxMemory.Parse(memory);

    private static IReadOnlyList<PlanDevice> Devices(string memory) =>
    [
        .. Budgets(memory).Where(budget => budget.IsDevice)
            .Select(budget => new PlanDevice($"cpu:{budget.Device}", budget.Bytes) { IsExactBudget = true }),
    ];
}
