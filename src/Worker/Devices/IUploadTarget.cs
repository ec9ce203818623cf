namespace TensorParallel.Worker.Devices;

/// <summary>Where loader threads bring weights to: a device's memory, or a file.</summary>
internal interface IUploadTarget
{
    /// <summary>
    /// A lane for one loader thread, with slots of <paramref name="slotBytes"/>; called by any thread, several at once. What was
    /// issued on the device before is done before its first copy.
    /// </summary>
    IUploadLane OpenUploadLane(int slotBytes);
}
