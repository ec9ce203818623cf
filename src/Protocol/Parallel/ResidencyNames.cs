namespace TensorParallel.Protocol.Parallel;

/// <summary>Words for <see cref="Residency"/>: those of device maps.</summary>
public static class ResidencyNames
{
    /// <summary>Host memory.</summary>
    public const string Cpu = "cpu";

    /// <summary>Files.</summary>
    public const string Disk = "disk";

    private const string Device = "device";

    /// <summary>The word.</summary>
    public static string NameOf(Residency residency) => residency switch
    {
        Residency.Device => Device,
        Residency.Host => Cpu,
        Residency.Disk => Disk,
        _ => throw new ArgumentOutOfRangeException(nameof(residency), residency, "There is no such residency."),
    };

    /// <summary>The residency a word names; null: none.</summary>
    public static Residency? Find(string name) => name switch
    {
        Device => Residency.Device,
        Cpu => Residency.Host,
        Disk => Residency.Disk,
        _ => null,
    };
}
