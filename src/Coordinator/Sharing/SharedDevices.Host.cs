using TensorParallel.Coordinator.Planning;

namespace TensorParallel.Coordinator.Sharing;

/// <content>Whether the host has room for the weights of models that leave their devices.</content>
internal sealed partial class SharedDevices
{
    private IEnumerable<string> HostShortages(SharedModel[] all, long? hostBytes)
    {
        var leaving = all.Where(model => MayHaveToLeave(model, all)).ToList();
        foreach (var model in leaving.Where(model => model.Need.Host.Bytes > model.Need.Host.Budget))
        {
            yield return $"--max-memory allows {model.Name} {ByteText.Of(model.Need.Host.Budget!.Value)} of host memory, but while other models " +
                $"are on its devices its weights take {ByteText.Of(model.Need.Host.Bytes)} there: give a larger cpu=…, or devices on which all " +
                "models fit together.";
        }

        // What others took before is not free any more, and not counted again.
        var needs = all
            .Select(model => (
                model.Name,
                Bytes: (model.Place == ModelPlace.Absent ? model.Need.Host.Offloaded : 0)
                    + (leaving.Contains(model) && !model.HasHostCopy ? model.Need.Host.Evicted : 0)))
            .Where(need => need.Bytes > 0)
            .ToList();
        var wanted = needs.Sum(need => need.Bytes);
        if (leaving.Count > 0 && wanted > hostBytes)
        {
            yield return $"Models that leave their devices for others need {ByteText.Of(wanted)} of host memory for their weights " +
                $"({string.Join(", ", needs.Select(need => $"{need.Name} {ByteText.Of(need.Bytes)}"))}), but of this machine's nine tenths of " +
                $"what is available are {ByteText.Of(hostBytes.Value)}: {ByteText.Of(wanted - hostBytes.Value)} are missing; serve fewer or " +
                "smaller models, or give devices on which all fit together.";
        }
    }

    // Those that come and go do not all fit on one of its devices. Then it leaves all of them.
    private bool MayHaveToLeave(SharedModel model, IReadOnlyList<SharedModel> all) => model.IsEvictable && model.Need.Evictable.Any(need =>
        need.Value > 0
        && _capacity.TryGetValue(need.Key, out var capacity)
        && Fixed(all, need.Key) + all.Sum(other => Bytes(other.Need.Evictable, need.Key)) > capacity);
}
