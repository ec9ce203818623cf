using System.Globalization;
using TensorParallel.Coordinator.Workers;

namespace TensorParallel.Coordinator.Cli;

/// <summary>
/// Shows loading on standard error: one line that is redrawn in a terminal, a line at every quarter elsewhere. Thread-safe: every rank
/// reports from a thread of its own.
/// </summary>
/// <param name="output">Where.</param>
/// <param name="isTerminal">Whether a line can be redrawn.</param>
/// <param name="workers">Ranks that load; nothing is shown before all have said how much they will read.</param>
internal sealed class LoadProgressBar(TextWriter output, bool isTerminal, int workers) : IProgress<LoadProgress>
{
    private const int Width = 32;

    private readonly Lock _gate = new();
    private readonly SortedDictionary<int, LoadProgress> _ranks = [];
    private readonly long _started = TimeProvider.System.GetTimestamp();
    private int _lastStep = -1;

    /// <summary>The bar of this process's standard error.</summary>
    public static LoadProgressBar OnStandardError(int workers) => new(Console.Error, !Console.IsErrorRedirected, workers);

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
            var step = (int)(part * (isTerminal ? 1000 : 4));
            if (step != _lastStep)
            {
                _lastStep = step;
                Draw(done, total, part);
            }
        }
    }

    /// <summary>Leaves the terminal's line clean for what is printed next.</summary>
    public void Close()
    {
        lock (_gate)
        {
            if (isTerminal && _lastStep >= 0)
            {
                output.Write($"\r{new string(' ', Width + 60)}\r");
                output.Flush();
            }
        }
    }

    private void Draw(long done, long total, double part)
    {
        var seconds = TimeProvider.System.GetElapsedTime(_started).TotalSeconds;
        var text = string.Create(
            CultureInfo.InvariantCulture,
            $"{part * 100,3:F0} %  {done / 1e6:F0} of {total / 1e6:F0} MB on {workers} worker{(workers == 1 ? "" : "s")}, {seconds:F1} s");
        if (isTerminal)
        {
            var filled = (int)(part * Width);
            output.Write($"\rloading [{new string('#', filled)}{new string('.', Width - filled)}] {text}");
            output.Flush();
        }
        else
        {
            output.WriteLine($"coordinator: loading {text}");
        }
    }
}
