namespace TensorParallel.Protocol.Parallel;

/// <summary>Where weights lie while nobody computes with them.</summary>
public enum Residency
{
    /// <summary>In the device's memory, always.</summary>
    Device,

    /// <summary>In host memory (<c>cpu</c> in a device map).</summary>
    Host,

    /// <summary>In files (<c>disk</c> in a device map): read anew for every use.</summary>
    Disk,
}
