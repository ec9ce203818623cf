namespace TensorParallel.Coordinator.Engine;

/// <summary>The models that are served, by name, in the order in which they were added. Thread-safe.</summary>
internal sealed class ServedModels
{
    private readonly Lock _lock = new();
    private volatile IReadOnlyList<ServedModel> _all = [];

    /// <summary>Models to begin with.</summary>
    public ServedModels(params IEnumerable<ServedModel> models)
    {
        foreach (var model in models)
        {
            Add(model);
        }
    }

    /// <summary>Told when models come and go and when an engine's state changes: handlers must return quickly and not throw.</summary>
    public event Action? Changed;

    /// <summary>All of them; the first is the default.</summary>
    public IReadOnlyList<ServedModel> All => _all;

    /// <summary>The model of a name; of none, or an empty one: the first.</summary>
    /// <exception cref="ModelNotFoundException">There is none; the message lists the names there are.</exception>
    public ServedModel Find(string? name)
    {
        var all = _all;
        var found = string.IsNullOrEmpty(name) ? all is [var first, ..] ? first : null : all.FirstOrDefault(model => model.Info.Name == name);
        return found ?? throw new ModelNotFoundException(name, [.. all.Select(model => model.Info.Name)]);
    }

    /// <summary>Adds a model, whose name is not taken.</summary>
    public void Add(ServedModel model)
    {
        lock (_lock)
        {
            _all = _all.Any(other => other.Info.Name == model.Info.Name)
                ? throw new ArgumentException($"There is a model {model.Info.Name} already.", nameof(model))
                : [.. _all, model];
        }

        model.Engine.StateChanged += OnStateChanged;
        Changed?.Invoke();
    }

    /// <summary>Takes a model out; its engine goes on.</summary>
    public void Remove(ServedModel model)
    {
        lock (_lock)
        {
            _all = [.. _all.Where(other => other != model)];
        }

        model.Engine.StateChanged -= OnStateChanged;
        Changed?.Invoke();
    }

    private void OnStateChanged(EngineState state) => Changed?.Invoke();
}
