using TensorParallel.Coordinator.Workers;

namespace TensorParallel.Coordinator.Cli;

/// <summary>The bars of models that are loaded one after the other.</summary>
internal sealed class LoadProgressBars : IDisposable
{
    private readonly List<LoadProgressBar> _bars = [];

    /// <summary>A bar on standard error for so many workers.</summary>
    public IProgress<LoadProgress> Add(int workers)
    {
        var bar = LoadProgressBar.OnStandardError(workers);
        _bars.Add(bar);
        return bar;
    }

    /// <summary>All models are loaded: nothing is drawn any more.</summary>
    public void Close() => _bars.ForEach(bar => bar.Close());

    /// <inheritdoc/>
    public void Dispose() => _bars.ForEach(bar => bar.Dispose());
}
