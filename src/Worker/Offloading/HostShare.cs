namespace TensorParallel.Worker.Offloading;

/// <summary>
/// Which groups the host multiplies with, by the number of rows. Host and bus work at once and should end at once: of bytes B the host
/// takes B · h / (h + b) where h and b are the rates of both. Example: h = 90 GB/s, b = 55 GB/s: 62 % of the groups, evenly spread, so that
/// the bus brings others while the host computes.
/// </summary>
internal sealed class HostShare
{
    // Rows of the measurements; a step takes that of the next larger.
    private readonly IReadOnlyList<(int Rows, HashSet<WeightGroup> Groups)> _byRows;

    /// <summary>Chooses groups.</summary>
    /// <param name="groups">All groups that have a home, in the order of use.</param>
    /// <param name="shares">Share of their bytes by rows, in the order of rows.</param>
    public HostShare(IReadOnlyList<WeightGroup> groups, IReadOnlyList<(int Rows, double Share)> shares)
    {
        _byRows = [.. shares.Select(entry => (entry.Rows, Choose(groups, entry.Share)))];
    }

    /// <summary>Whether the host multiplies with none, at any number of rows.</summary>
    public bool IsEmpty => _byRows.All(entry => entry.Groups.Count == 0);

    /// <summary>The share that lets host and bus end together; less than one group in sixteen is not worth the waits.</summary>
    public static double Of(double hostRate, double busRate) =>
        hostRate / (hostRate + busRate) is var share && share < 1.0 / 16 ? 0 : share;

    /// <summary>Whether the host multiplies with a group in a step of so many rows.</summary>
    public bool Takes(WeightGroup group, int rows)
    {
        foreach (var (most, groups) in _byRows)
        {
            if (rows <= most)
            {
                return groups.Contains(group);
            }
        }

        return false;
    }

    // A group goes to the host whenever the host is behind its share by half the group or more.
    private static HashSet<WeightGroup> Choose(IReadOnlyList<WeightGroup> groups, double share)
    {
        var chosen = new HashSet<WeightGroup>();
        var (all, taken) = (0.0, 0.0);
        foreach (var group in groups)
        {
            all += group.UsedBytes;
            if ((all * share) - taken >= group.UsedBytes / 2.0)
            {
                taken += group.UsedBytes;
                chosen.Add(group);
            }
        }

        return chosen;
    }
}
