using System.Globalization;
using Spectre.Console;
using Spectre.Console.Rendering;
using TensorParallel.Coordinator.Planning.Offloading;
using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Planning;

/// <summary>The plan as tables that people read. Colour only where the console can show it.</summary>
internal sealed class PlanPrinter(IAnsiConsole console)
{
    private const int PlainColumns = 100;

    /// <summary>A console that writes plain text of 100 columns, for pipes and files.</summary>
    public static IAnsiConsole Plain(TextWriter writer)
    {
        var plain = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Ansi = AnsiSupport.No,
            ColorSystem = ColorSystemSupport.NoColors,
            Interactive = InteractionSupport.No,
            Out = new AnsiConsoleOutput(writer),
        });
        plain.Profile.Width = PlainColumns;
        plain.Profile.Capabilities.Unicode = true;
        return plain;
    }

    /// <summary>Writes the whole plan.</summary>
    /// <param name="modelName">What to call the model.</param>
    /// <param name="spec">The model.</param>
    /// <param name="plan">Its plan.</param>
    public void Print(string modelName, ModelSpec spec, ExecutionPlan plan)
    {
        Header(modelName, spec, plan);
        console.WriteLine();
        console.Write(plan.Mode == PlanMode.TensorParallel ? Cuts(spec, plan) : Stages(spec, plan));
        console.WriteLine();
        console.Write(Totals(spec, plan));
        console.WriteLine();
        foreach (var line in CollectiveText.Of(spec, plan).Concat(plan.Notes.Select(note => $"Note: {note}")))
        {
            console.WriteLine(line);
        }
    }

    private void Header(string modelName, ModelSpec spec, ExecutionPlan plan)
    {
        var attention = spec.Blocks[0].Attention;
        console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{modelName}: {spec.ModelType}, {spec.Blocks.Count} layers, hidden {spec.HiddenSize}, " +
            $"{attention.NumAttentionHeads} query heads over {attention.NumKeyValueHeads} KV heads of " +
            $"{attention.HeadDim}, MLP {spec.Blocks[0].Mlp.Down.InFeatures}, vocabulary " +
            $"{spec.VocabularySize}{(spec.TieWordEmbeddings ? ", tied" : "")}"));
        var mode = plan.Mode == PlanMode.TensorParallel ? "tensor parallel" : "device map (whole layers in sequence)";
        var ranks = plan.WorldSize == 1 ? "1 rank" : $"{plan.WorldSize} ranks";
        console.WriteLine($"Mode: {mode} over {ranks}, {plan.DType.HuggingFaceName()}");
        foreach (var reason in plan.FallbackReasons)
        {
            console.WriteLine($"Not tensor parallel, because: {reason}");
        }

        var limits = plan.Limits;
        console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"Sizes: {limits.MaxSequences} sequences, {limits.MaxStepTokens} tokens a step, context " +
            $"{limits.MaxContextTokens}, {limits.KvBlocks} KV blocks of {limits.KvBlockTokens}"));
    }

    private static Table Cuts(ModelSpec spec, ExecutionPlan plan)
    {
        var table = NewTable("Module", "Style", "#", "Holds", "Bytes");
        table.Columns[4].RightAligned();
        var previous = "";
        foreach (var row in PlanRows.Of(spec, plan))
        {
            var isNew = row.Module != previous;
            previous = row.Module;
            Add(table, isNew ? row.Module : "", isNew ? row.Style : "", row.Rank, row.Cut, ByteText.Of(row.Bytes));
        }

        return table;
    }

    private static Table Stages(ModelSpec spec, ExecutionPlan plan)
    {
        var table = NewTable("Rank", "Holds");
        foreach (var rank in plan.Ranks)
        {
            List<string> parts = [];
            if (rank.HasEmbedding)
            {
                parts.Add(spec.Embedding.Name);
            }

            if (rank.Layers.Length > 0)
            {
                var layers = Enumerable.Range(rank.Layers.Start, rank.Layers.Length).ToList();
                var numbers = LayerList.Text(layers, int.MaxValue).Trim('{', '}');
                parts.Add(layers.Count == 1 ? $"layer {numbers}" : $"layers {numbers}");
            }

            if (rank.HasOutputHead)
            {
                parts.Add($"{spec.FinalNorm.Name}, {spec.OutputHead.Name}");
            }

            Add(table, Number(rank.Rank), parts.Count == 0 ? "nothing" : string.Join(", ", parts));
        }

        return table;
    }

    private static Table Totals(ModelSpec spec, ExecutionPlan plan)
    {
        // Processors have no memory of their own that driver and libraries would take a part of.
        var hasRuntime = plan.Ranks.Any(rank => rank.RuntimeBytes > 0);
        var isOffloaded = plan.Ranks.Any(rank => rank.Offload is not null);
        var table = NewTable(
        [
            "Rank", "Device", "Weights", "KV cache", "Activations", .. isOffloaded ? (string[])["Slots"] : [],
            .. hasRuntime ? (string[])["Runtime"] : [], "Total",
            .. isOffloaded ? (string[])["Host", "Disk", "Bus a step"] : [],
        ]);
        foreach (var column in table.Columns.Skip(2))
        {
            column.RightAligned();
        }

        foreach (var rank in plan.Ranks)
        {
            Add(table, [Number(rank.Rank), rank.Device, .. Bytes([rank])]);
        }

        if (plan.WorldSize > 1)
        {
            Add(table, ["all", "", .. Bytes(plan.Ranks)]);
        }

        return table;

        IEnumerable<string> Bytes(IReadOnlyList<RankPlan> ranks)
        {
            long[] device =
            [
                ranks.Sum(rank => rank.WeightBytes),
                ranks.Sum(rank => rank.KvBytes),
                ranks.Sum(rank => rank.WorkspaceBytes),
                .. isOffloaded ? (long[])[ranks.Sum(rank => rank.Offload?.StagingBytes ?? 0)] : [],
                .. hasRuntime ? (long[])[ranks.Sum(rank => rank.RuntimeBytes)] : [],
            ];
            long[] beside = isOffloaded
                ?
                [
                    ranks.Sum(rank => rank.Offload?.HostBytes ?? 0),
                    ranks.Sum(rank => rank.Offload?.DiskBytes ?? 0),
                    ranks.Sum(rank => OffloadPlanner.BusBytes(spec, rank)),
                ]
                : [];
            return device.Append(device.Sum()).Concat(beside).Select(ByteText.Of);
        }
    }

    private static Table NewTable(params string[] columns)
    {
        // One space between columns: long names and the cuts of large models then fit into 100 columns.
        var table = new Table { Border = TableBorder.None };
        foreach (var column in columns)
        {
            var gap = column == columns[^1] ? 0 : 1;
            table.AddColumn(new TableColumn(new Spectre.Console.Text(column)) { Padding = new Padding(0, 0, gap, 0) });
        }

        return table;
    }

    // Text, not markup: names come from files.
    private static void Add(Table table, params IEnumerable<string> cells) =>
        table.AddRow(cells.Select(cell => (IRenderable)new Spectre.Console.Text(cell)));

    private static string Number(int value) => value.ToString(CultureInfo.InvariantCulture);
}
