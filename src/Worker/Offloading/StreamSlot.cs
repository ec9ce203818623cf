using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Offloading;

/// <summary>Device memory that groups come to by turns, and what is in it. Owns its points, not its memory.</summary>
internal sealed class StreamSlot(DeviceBuffer memory, IReadOnlyList<WeightGroup> groups, ICopyQueue queue) : IDisposable
{
    /// <summary>The memory.</summary>
    public DeviceBuffer Memory => memory;

    /// <summary>Groups that use it, in the order of use.</summary>
    public IReadOnlyList<WeightGroup> Groups => groups;

    /// <summary>What is in it, or on its way to it; null at first.</summary>
    public WeightGroup? Content { get; set; }

    /// <summary>Whether the device waits for the content already, or need not.</summary>
    public bool IsAwaited { get; set; }

    /// <summary>Reads the content from files; null where it is copied.</summary>
    public GroupRead? Read { get; set; }

    /// <summary>A copied content is there.</summary>
    public ICopyPoint Arrived { get; } = queue.CreatePoint();

    /// <summary>Nobody reads the content before any more.</summary>
    public ICopyPoint Free { get; } = queue.CreatePoint();

    /// <summary>The group that uses it after another one, round and round.</summary>
    public WeightGroup After(WeightGroup group)
    {
        for (var i = 0; i < groups.Count; i++)
        {
            if (groups[i] == group)
            {
                return groups[(i + 1) % groups.Count];
            }
        }

        throw new ArgumentException($"{group.Name} does not come to this slot.", nameof(group));
    }

    public void Dispose() => Disposal.Of(Arrived, Free);
}
