using System.Globalization;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace TensorParallel.Coordinator.Planning.Estimates;

/// <summary>An estimate as tables that people read.</summary>
internal sealed class EstimatePrinter(IAnsiConsole console)
{
    private const double BusGigabytes = 25;

    /// <summary>Writes all of it.</summary>
    public void Print(MemoryEstimate estimate)
    {
        console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{estimate.Model}: {estimate.ModelType}, {estimate.Parameters / 1e9:0.00} billion parameters, " +
            $"{ByteText.Of(estimate.WeightBytes)} in {estimate.DType}; largest layer " +
            $"{estimate.LargestModule.Module}, " +
            $"{ByteText.Of(estimate.LargestModule.Bytes)}"));
        if (!estimate.CanRun)
        {
            console.WriteLine("This family is not run yet: cache and activations are those of a Llama of its sizes.");
        }

        Write(
            ["Weights in", "Bytes"],
            estimate.Formats.Select(format => new[] { format.Format, ByteText.Of(format.Bytes) }));
        Write(["KV cache: context", "Sequences", "Bytes"], estimate.KvCache.Select(cache => new[]
        {
            Number(cache.ContextTokens), Number(cache.Batch), ByteText.Of(cache.Bytes),
        }));
        var isOffloaded = estimate.Spreads.Any(spread => spread.Spilled.Count > 0);
        console.WriteLine();
        console.WriteLine($"The fullest device, with {Sequences(estimate)}" +
            $"{(isOffloaded ? "; what comes to it over the bus a token; what all devices have in host memory" : "")}:");
        Write(
            [
                "Devices", "Mode", "Weights", "KV cache", "Workspace", .. isOffloaded ? (string[])["Slots"] : [], "Runtime", "Total",
                .. isOffloaded ? (string[])["Bus", "Host"] : [],
            ],
            estimate.Spreads.Select(spread => (string[])[Number(spread.DeviceCount), Mode(spread), .. Fullest(spread, isOffloaded)]));
        foreach (var spread in estimate.Given)
        {
            Given(spread, estimate);
        }
    }

    private void Given(SpreadEstimate spread, MemoryEstimate estimate)
    {
        console.WriteLine();
        if (spread.Obstacle is { } obstacle)
        {
            console.WriteLine($"Given memory, {Mode(spread)}: does not fit. {obstacle}");
            WriteContext(spread, estimate);
            return;
        }

        console.WriteLine($"Given memory, {Mode(spread)}: {(spread.Fits ? "fits" : "does not fit")} with " +
            $"{Sequences(estimate)}.");
        var isOffloaded = spread.Devices.Any(device => device.StagingBytes > 0);
        Write(
            ["Device", "Weights", "KV cache", "Workspace", .. isOffloaded ? (string[])["Slots"] : [], "Runtime", "Total", "Budget"],
            spread.Devices.Select(device => (string[])
            [
                device.Device,
                .. Parts(device, isOffloaded),
                device.BudgetBytes is { } budget ? ByteText.Of(budget) : "",
            ]));
        foreach (var (place, bytes) in spread.Spilled)
        {
            console.WriteLine($"On {place}: {ByteText.Of(bytes)} of weights.");
        }

        if (spread.Devices.Select(device => device.BusBytes).DefaultIfEmpty().Max() is > 0 and var bus)
        {
            console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"To the busiest device come {ByteText.Of(bus)} a token: at {BusGigabytes} GB/s (PCIe 4.0, 16 lanes) a token takes at " +
                $"least {bus / (BusGigabytes * 1e9):0.000} s."));
        }

        WriteContext(spread, estimate);
    }

    private void WriteContext(SpreadEstimate spread, MemoryEstimate estimate)
    {
        var sequences = estimate.Batch == 1 ? "1 sequence" : $"{estimate.Batch} sequences";
        console.WriteLine(spread.LargestContext is { } longest
            ? $"Longest context that fits with {sequences}: {longest} tokens."
            : $"No context fits with {sequences}.");
    }

    private static IEnumerable<string> Fullest(SpreadEstimate spread, bool isOffloaded) =>
        spread.Fullest is not { } device ? ["not possible"]
        : !isOffloaded ? Parts(device, isOffloaded)
        : [.. Parts(device, isOffloaded), ByteText.Of(device.BusBytes), ByteText.Of(spread.Spilled.Values.Sum())];

    private static IEnumerable<string> Parts(DeviceNeed device, bool isOffloaded) =>
    [
        ByteText.Of(device.WeightBytes),
        ByteText.Of(device.KvBytes),
        ByteText.Of(device.WorkspaceBytes),
        .. isOffloaded ? (string[])[ByteText.Of(device.StagingBytes)] : [],
        ByteText.Of(device.RuntimeBytes),
        ByteText.Of(device.TotalBytes),
    ];

    private static string Mode(SpreadEstimate spread) => spread.Mode.Replace('_', ' ');

    private static string Sequences(MemoryEstimate estimate) =>
        $"{(estimate.Batch == 1 ? "1 sequence" : $"{estimate.Batch} sequences")} of {estimate.ContextTokens} tokens";

    private static string Number(int value) => value.ToString(CultureInfo.InvariantCulture);

    private void Write(IReadOnlyList<string> headings, IEnumerable<string[]> rows)
    {
        var table = new Table { Border = TableBorder.None };
        foreach (var (heading, i) in headings.Select((heading, i) => (heading, i)))
        {
            var column = new TableColumn(new Spectre.Console.Text(heading)) { Padding = new Padding(0, 0, 2, 0) };
            table.AddColumn(i == 0 || heading == "Mode" ? column : column.RightAligned());
        }

        foreach (var row in rows)
        {
            table.AddRow(row.Select(cell => (IRenderable)new Spectre.Console.Text(cell)));
        }

        console.WriteLine();
        console.Write(table);
    }
}
