using System.Globalization;
using TensorParallel.Coordinator.Workers;

namespace TensorParallel.Coordinator.Cli;

/// <summary>
/// Shows loading on standard error: one line that is redrawn in a terminal, a line at every quarter elsewhere.
/// Thread-safe: every rank reports from a thread of its own.
/// </summary>
/// <param name="output">Where.</param>
/// <param name="columns">Width of the terminal, whose line is redrawn; null: no terminal.</param>
/// <param name="workers">Ranks that load; nothing is shown before all have said how much they will read.</param>
internal sealed class LoadProgressBar(TextWriter output, int? columns, int workers)
    : IProgress<LoadProgress>, IDisposable
{
    private const int BarWidth = 32;
    private const string ClearToEnd = "\x1b[K";

    private readonly Lock _gate = new();
    private readonly SortedDictionary<int, LoadProgress> _ranks = [];
    private readonly long _started = TimeProvider.System.GetTimestamp();
    private int _lastStep = -1;
    private (long At, long Bytes)? _first;

    /// <summary>The bar of this process's standard error.</summary>
    public static LoadProgressBar OnStandardError(int workers) => new(Console.Error, Columns(), workers);

    /// <inheritdoc/>
    public void Report(LoadProgress value)
    {
        lock (_gate)
        {
            _ranks[value.Rank] = value;
            if (_ranks.Count < workers)
            {
                return;
            }

            var done = _ranks.Values.Sum(rank => rank.BytesDone);
            var total = _ranks.Values.Sum(rank => rank.BytesTotal);
            var part = total == 0 ? 1 : (double)done / total;
            var step = (int)(part * (columns is null ? 4 : 1000));
            if (step != _lastStep)
            {
                _lastStep = step;
                Draw(done, total, part);
            }
        }
    }

    /// <inheritdoc cref="Dispose"/>
    public void Close() => Dispose();

    /// <summary>Leaves the terminal's line clean for what is printed next. May be called again.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            if (columns is not null && _lastStep >= 0)
            {
                output.Write($"\r{ClearToEnd}");
                output.Flush();
            }
        }
    }

    // Since the first byte was told: what comes before it is the start of processes and devices.
    private string Rate(long done)
    {
        if (_first is not { } first)
        {
            _first = (TimeProvider.System.GetTimestamp(), done);
            return "";
        }

        var reading = TimeProvider.System.GetElapsedTime(first.At).TotalSeconds;
        return string.Create(CultureInfo.InvariantCulture, $", {(done - first.Bytes) / 1e9 / Math.Max(reading, 1e-3):F1} GB/s");
    }

    private void Draw(long done, long total, double part)
    {
        var seconds = TimeProvider.System.GetElapsedTime(_started).TotalSeconds;
        var text = string.Create(
            CultureInfo.InvariantCulture,
            $"{part * 100,3:F0} %  {done / 1e6:F0} of {total / 1e6:F0} MB on {workers} worker{(workers == 1 ? "" : "s")}, {seconds:F1} s{Rate(done)}");
        if (columns is { } most)
        {
            // A line that wraps cannot be redrawn: first the bar goes, then the text's end. The last column stays free.
            var filled = (int)(part * BarWidth);
            var line = $"loading [{new string('#', filled)}{new string('.', BarWidth - filled)}] {text}";
            line = line.Length < most ? line : $"loading {text}";
            output.Write($"\r{line[..Math.Min(line.Length, most - 1)]}{ClearToEnd}");
            output.Flush();
        }
        else
        {
            output.WriteLine($"coordinator: loading {text}");
        }
    }

    private static int? Columns()
    {
        if (Console.IsErrorRedirected)
        {
            return null;
        }

        // A terminal that does not tell its size says 0.
        return Console.WindowWidth > 1 ? Console.WindowWidth : 80;
    }
}
