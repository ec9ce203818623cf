using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Tests.Execution;

/// <summary>
/// What a recording does, on any device: from a key's third run on, the second run's work is done again and what is given now is not
/// looked at. Work that depends on anything that is not in its key or in the device's memory then goes wrong.
/// </summary>
internal sealed class FirstIssueAgain : IRepeatedWork
{
    private readonly Dictionary<object, Action?> _recorded = [];

    public bool PrefersFewKeys => true;

    /// <summary>Runs that did earlier work again.</summary>
    public int Replayed { get; private set; }

    /// <summary>Different keys.</summary>
    public int Keys => _recorded.Count;

    public bool Run(object key, Action issue)
    {
        if (_recorded.TryAdd(key, null))
        {
            issue();
            return false;
        }

        _recorded[key] ??= issue;
        _recorded[key]!();
        Replayed++;
        return true;
    }

    public void Dispose()
    {
    }
}
